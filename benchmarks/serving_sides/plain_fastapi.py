"""A server as tutorials have it: FastAPI, Keras, one photo at a time. pip install fastapi uvicorn python-multipart.

python plain_fastapi.py MODEL.keras CLASSES.json PORT
"""

import io
import json
import sys
from pathlib import Path

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

model = keras.saving.load_model(sys.argv[1])
classes = json.loads(Path(sys.argv[2]).read_text())
height, width = model.input_shape[1:3]
app = FastAPI()


@app.post("/predict")
def predict(file: UploadFile) -> dict:
    """Classifies a photo; FastAPI runs it in a thread."""
    image = Image.open(io.BytesIO(file.file.read())).convert("RGB").resize((width, height))
    (probabilities,) = model.predict(np.asarray(image)[None], verbose=0)
    best = int(probabilities.argmax())
    return {"label": classes[best], "probability": float(probabilities[best])}


@app.get("/healthz")
def health() -> dict:
    """Answers while the server does."""
    return {"status": "ok"}


if __name__ == "__main__":
    model.predict(np.zeros((1, height, width, 3), np.uint8), verbose=0)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning")
