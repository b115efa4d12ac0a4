"""A job server as tutorials write it: Flask asks, Celery works, Redis keeps the result."""

import base64
import os
from functools import lru_cache
from typing import Any

from celery import Celery
from flask import Flask, request

app = Flask(__name__)
celery = Celery("naive", broker=os.environ["NAIVE_REDIS"], backend=os.environ["NAIVE_REDIS"])


@lru_cache
def load_detector() -> Any:
    from bench.bare import Detector

    return Detector()


@celery.task
def say(text: str) -> dict[str, Any]:
    return {"text": text, "size": 0}


@celery.task
def detect(picture: str) -> dict[str, Any]:
    result: dict[str, Any] = load_detector().detect([base64.b64decode(picture)])[0]
    return result


@app.post("/say")
def submit_say() -> tuple[dict[str, str], int]:
    task = say.delay(request.get_json()["text"])
    return {"id": task.id}, 202


@app.post("/detect")
def submit_detect() -> tuple[dict[str, str], int]:
    picture = request.files["picture"].read()
    task = detect.delay(base64.b64encode(picture).decode())
    return {"id": task.id}, 202


@app.get("/jobs/<job_id>")
def read_job(job_id: str) -> dict[str, Any]:
    task = celery.AsyncResult(job_id)
    return {"state": task.state, "result": task.result if task.successful() else None}
