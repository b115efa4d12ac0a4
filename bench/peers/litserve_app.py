"""The detector behind LitServe: `python -m bench.peers.litserve_app PORT`."""

import sys
from collections.abc import Sequence
from typing import Any

import litserve
from fastapi import Request

from bench.bare import BATCH, Detector


class DetectAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002  (the detector is on the CPU)
        self.detector = Detector()

    def decode_request(self, request: Request) -> bytes:
        picture: bytes = request["picture"].file.read()  # LitServe passes the form
        return picture

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        return list(inputs)

    def predict(self, pictures: list[bytes]) -> list[dict[str, Any]]:
        return self.detector.detect(pictures)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = DetectAPI(max_batch_size=BATCH, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
