"""How soon a painting shows its first preview, and how soon it stops, through the real stack."""

import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from bench.options import Options
from bench.report import Report, tell
from services.client.client import Client, Source
from services.local.stack import running_stack
from shared.settings import read_settings
from shared.weights import locate
from workers.style.stained_glass import draw_stained_glass

PHOTO = "china.jpg"
SIZES = (256, 450, 1024)  # pixels of the longer side
FIRST, STOP = 3.0, 2.0  # seconds at most, the first at 256 pixels
COLUMNS = ("size", "first preview s", "cancelled s", "kept", "preview bytes")


def run(options: Options) -> Report:
    sizes = SIZES[:1] if options.quick else SIZES
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home:
        changes = {
            "home": Path(home),
            "weights_dir": read_settings().weights.resolve(),
            "workers": "style",
            "device": "cpu",
            "log_level": "warning",
        }
        with running_stack(changes) as stack, Client(stack.address, stack.api_key) as client:
            paint_and_stop(client, sizes[0])  # the networks are loaded once
            cells = [paint_and_stop(client, size) for _ in range(options.repeats) for size in sizes]
    rows = summarise(cells)
    return Report("style_previews", COLUMNS, rows, judge(rows), cells)


def paint_and_stop(client: Client, size: int) -> dict[str, Any]:
    """Seconds from running to the first preview, and from cancelling in mid-step to the end."""
    style = BytesIO()
    draw_stained_glass().save(style, "PNG")
    photo = locate(PHOTO, read_settings().weights)
    files: dict[str, Source | Sequence[Source]] = {"content": photo, "styles": [style.getvalue()]}
    job = client.submit_files("style.transfer", files, {"size": size, "scales": 1, "steps": 500})
    started = shown = asked = ended = 0.0
    preview = ""
    for event in client.events(job.id):
        now = time.perf_counter()
        if event.name == "running":
            started = now
        elif event.name == "preview" and not shown:
            shown, preview = now, event.data["preview"]
            time.sleep(1)  # until some step is under way
            asked = time.perf_counter()
            client.cancel(job.id)
        elif event.last:
            ended = now
    result = client.job(job.id).result or {}
    with tempfile.TemporaryDirectory() as folder:
        path = client.download(preview, Path(folder) / "preview.jpg")
        with Image.open(path) as picture:
            picture.load()
        held = path.stat().st_size
    return {
        "size": size,
        "first preview s": shown - started,
        "cancelled s": ended - asked,
        "kept": bool(result.get("picture")),
        "preview bytes": held,
    }


def summarise(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians for each size; `kept` if every job kept a picture."""
    rows = []
    for size in sorted({cell["size"] for cell in cells}):
        own = [cell for cell in cells if cell["size"] == size]
        row = {name: median(cell[name] for cell in own) for name in COLUMNS if name != "kept"}
        rows.append(row | {"kept": all(cell["kept"] for cell in own)})
    return rows


def judge(rows: Sequence[dict[str, Any]]) -> list[str]:
    first, slowest = rows[0]["first preview s"], max(row["cancelled s"] for row in rows)
    kept = all(row["kept"] for row in rows)
    return [
        f"{tell(first <= FIRST)}: the first preview comes after {first:.2f} s at "
        f"{rows[0]['size']} pixels; wanted {FIRST:g}",
        f"{tell(slowest <= STOP)}: a cancelled job has ended after {slowest:.2f} s; "
        f"wanted {STOP:g}",
        f"{tell(kept)}: a cancelled job keeps the picture of its last preview",
        "From the event `running`, on one core; the clock of the client.",
    ]
