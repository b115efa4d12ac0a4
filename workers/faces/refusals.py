"""Why a face job cannot succeed; the codes are for programs, the texts say what to do."""

from workers.runtime.run import JobError


class UnknownCollection(JobError):
    """There is no such collection, or it is another tenant's."""

    code = "unknown_collection"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no collection {name!r}. `faces.collections` lists yours, "
            "`faces.create` makes one."
        )


class CollectionExists(JobError):
    code = "collection_exists"


class UnknownFace(JobError):
    """No face of the collection is meant by the request."""

    code = "unknown_face"


class UnknownReceipt(JobError):
    code = "unknown_receipt"


class WrongModel(JobError):
    """Embeddings of different encoders cannot be compared."""

    code = "wrong_model"


class NotCalibrated(JobError):
    """Nobody knows yet what scores of this encoder mean."""

    code = "not_calibrated"


class NoFace(JobError):
    """The picture shows no face that could be used."""

    code = "no_face"


class SeveralFaces(JobError):
    """It is not clear whose face is meant."""

    code = "several_faces"


class AlreadyEnrolled(JobError):
    """The same picture a second time would only make the subject look more certain."""

    code = "already_enrolled"


class LowQuality(JobError):
    """The face is too small, blurred or turned away to be told from others."""

    code = "low_quality"


class QuotaExceeded(JobError):
    """The tenant has searched too often today."""

    code = "quota_exceeded"

    def __init__(self, quota: int) -> None:
        super().__init__(
            f"{quota} searches a day are allowed. Go on tomorrow (UTC), or raise "
            "ATELIER_SEARCH_QUOTA."
        )


class StaleDatabase(JobError):
    """The database that answered has not seen the change that was asked for."""

    code = "stale_database"
