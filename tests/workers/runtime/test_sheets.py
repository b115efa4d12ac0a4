"""Pictures beside and below each other."""

from PIL import Image

from workers.runtime.sheets import MARGIN, arrange, plot_history, put_below, put_beside


def paint(colour: str, width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def test_pictures_stand_in_rows_in_the_middle_of_equal_cells():
    sheet = arrange([paint("red", 20, 10), paint("lime", 10, 4), paint("blue", 4, 4)], columns=2)
    assert sheet.size == (3 * MARGIN + 40, 3 * MARGIN + 20)
    assert sheet.getpixel((MARGIN, MARGIN)) == (255, 0, 0)
    middle = (2 * MARGIN + 20 + 10, MARGIN + 5)
    assert sheet.getpixel(middle) == (0, 255, 0)
    assert sheet.getpixel((middle[0] - 6, middle[1])) == (255, 255, 255)
    assert sheet.getpixel((MARGIN + 10, 2 * MARGIN + 10 + 5)) == (0, 0, 255)


def test_one_picture_needs_no_second_column():
    assert arrange([paint("red", 20, 10)], columns=3).size == (20 + 2 * MARGIN, 10 + 2 * MARGIN)


def test_pictures_stand_beside_and_below_each_other():
    pair = [paint("red", 20, 10), paint("blue", 10, 30)]
    beside, below = put_beside(pair), put_below(pair)
    assert (beside.size, below.size) == ((30, 30), (20, 40))
    assert [beside.getpixel(place) for place in ((0, 0), (20, 29), (0, 29))] == [
        (255, 0, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]
    assert [below.getpixel(place) for place in ((5, 9), (5, 10), (4, 10))] == [
        (255, 0, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]


def test_a_measure_is_drawn_beside_the_loss_once_somebody_looked():
    assert plot_history([2.0], [None], "nats", "Mean IoU", "IoU").size == (880, 550)
    assert plot_history([2.0, 1.0], [None, 0.5], "nats", "Mean IoU", "IoU").size == (1760, 550)
