"""The detector behind BentoML: `bentoml serve bench.peers.bentoml_app:Detect`."""

from pathlib import Path
from typing import Any

import bentoml

from bench.bare import BATCH, Detector


@bentoml.service(
    workers=1, threads=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}}
)
class Detect:
    def __init__(self) -> None:
        self.detector = Detector()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    def predict(self, picture: list[Path]) -> list[dict[str, Any]]:
        return self.detector.detect([path.read_bytes() for path in picture])
