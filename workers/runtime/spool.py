"""Writes a job's large file to the disk, a piece in memory at a time."""

from typing import IO, Any

from shared.blobs import Blobs
from workers.runtime.run import InvalidInput, Run, TooLarge


def spool(
    blobs: Blobs, run: Run[Any], blob_id: str, file: IO[bytes], most: int | None = None
) -> None:
    """Write the blob to the file, and go back to its start.

    Raises InvalidInput if the blob is gone, TooLarge beyond `most` bytes, Cancelled.
    """
    size = 0
    try:
        for chunk in blobs.stream(run.tenant, blob_id):
            size += file.write(chunk)
            if most is not None and size > most:
                raise TooLarge(
                    f"The file {blob_id} is too large: it may have at most {most} bytes."
                )
            run.raise_if_cancelled()
    except KeyError as error:
        raise InvalidInput(f"The file {blob_id} is gone. Upload it again.") from error
    file.seek(0)
