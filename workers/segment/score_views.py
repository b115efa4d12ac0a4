"""The measures of a network as jobs answer them."""

from workers.segment.metrics import Score
from workers.segment.training_contract import ClassView, Measures


def view_measures(score: Score) -> Measures:
    return Measures(
        pixel_accuracy=score.pixel_accuracy,
        mean_accuracy=score.mean_accuracy,
        mean_iou=score.mean_iou,
        frequency_weighted_iou=score.frequency_weighted_iou,
    )


def view_classes(score: Score) -> dict[str, ClassView]:
    """Each class by its name."""
    pixels = max(1, sum(one.pixels for one in score.classes))
    return {
        one.name: ClassView(share=one.pixels / pixels, iou=one.iou, accuracy=one.accuracy)
        for one in score.classes
    }
