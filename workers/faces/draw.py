"""Draws the faces that were found into a copy of a picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from workers.faces.find import Found

BOX, POINT = "#00e070", "#ffd000"
READABLE = 640  # pixels; a smaller picture is enlarged so that the points can be told apart


def annotate(picture: Image.Image, faces: Sequence[Found]) -> Image.Image:
    """A copy with boxes and landmarks, the first face on top; small pictures come enlarged."""
    zoom = max(1, -(-READABLE // max(picture.size)))
    canvas = picture.resize((picture.width * zoom, picture.height * zoom))
    draw = ImageDraw.Draw(canvas)
    line = max(2, round(max(canvas.size) / 400))
    for face in reversed(faces):
        draw.rectangle([value * zoom for value in face.xyxy], outline=BOX, width=line)
        for x, y in face.landmarks.tolist():
            draw.circle((x * zoom, y * zoom), line * 1.5, fill=POINT, outline="black")
    return canvas
