"""A server by LitServe with its batching, as its documentation has it. pip install litserve.

python litserve_server.py MODEL.keras CLASSES.json PORT
"""

import io
import json
import sys
from pathlib import Path

import litserve
import numpy as np
from PIL import Image


class Photos(litserve.LitAPI):
    """Decodes, predicts in batches, and names the class."""

    def setup(self, device: str) -> None:
        """Loads the model in the worker's process."""
        import keras

        self.model = keras.saving.load_model(sys.argv[1])
        self.classes = json.loads(Path(sys.argv[2]).read_text())
        self.height, self.width = self.model.input_shape[1:3]
        self.model.predict(np.zeros((1, self.height, self.width, 3), np.uint8), verbose=0)

    def decode_request(self, request):  # LitServe takes a form where no type is said
        """Brings a photo to the model's size."""
        image = Image.open(io.BytesIO(request["file"].file.read())).convert("RGB")
        return np.asarray(image.resize((self.width, self.height)))

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Runs the model."""
        return self.model.predict_on_batch(np.stack(batch))

    def encode_response(self, probabilities: np.ndarray) -> dict:
        """Names the class."""
        best = int(probabilities.argmax())
        return {"label": self.classes[best], "probability": float(probabilities[best])}


if __name__ == "__main__":
    api = Photos(max_batch_size=16, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", healthcheck_path="/healthz")
    server.run(host="127.0.0.1", port=int(sys.argv[3]), generate_client_file=False)
