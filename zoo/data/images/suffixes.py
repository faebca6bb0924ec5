"""What the ends of file names say: which are images', and which are plainly not."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# The suffixes that files of a format bear, by Pillow's name of it.
SUFFIXES_OF: dict[str, frozenset[str]] = {
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
    "MPO": frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}),
    "PNG": frozenset({".png", ".apng"}),
    "BMP": frozenset({".bmp", ".dib"}),
    "DIB": frozenset({".bmp", ".dib"}),
    "GIF": frozenset({".gif"}),
    "WEBP": frozenset({".webp"}),
    "TIFF": frozenset({".tif", ".tiff"}),
    "PPM": frozenset({".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}),
    "AVIF": frozenset({".avif", ".avifs"}),
    "JPEG2000": frozenset({".jp2", ".j2k", ".jpx", ".jpf", ".jpc", ".j2c", ".jph"}),
    "HEIF": frozenset({".heic", ".heif", ".hif"}),
}
IMAGE_SUFFIXES = frozenset[str]().union(*SUFFIXES_OF.values())
# What lies beside images without being meant as one. Any file of another suffix, foreign ones aside, is taken for an
# image, so that one that cannot be decoded is reported at packing and never dropped in silence.
TEXT_SUFFIXES = frozenset(
    {
        *(".txt", ".md", ".rst", ".html", ".log"),
        *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini"),
        *(".py", ".ipynb", ".lnk"),
    }
)
# What is plainly something else, though someone may have meant it to be learnt from: passed over, and counted.
FOREIGN_SUFFIXES = frozenset(
    {
        *(".ogg", ".oga", ".opus", ".wav", ".mp3", ".flac", ".m4a", ".aac", ".aif", ".aiff", ".mid", ".midi", ".wma"),
        *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".flv", ".3gp", ".ogv", ".m2ts"),
        *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".rtf", ".epub", ".tex"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".iso", ".dmg"),
        *(".npy", ".npz", ".dat", ".idx", ".bin", ".pkl", ".pickle", ".mat", ".h5", ".hdf5", ".parquet", ".feather"),
        *(".arrow", ".db", ".sqlite", ".sqlite3", ".lmdb", ".mdb", ".tfrecord", ".tfrecords", ".record", ".rec"),
        *(".pt", ".pth", ".ckpt", ".onnx", ".safetensors", ".keras", ".pb", ".tflite", ".pbtxt", ".weights"),
        *(".c", ".cpp", ".h", ".java", ".js", ".css", ".sh", ".bat", ".m", ".r", ".cfg", ".conf", ".sql", ".jar"),
        *(".exe", ".dll", ".so", ".o", ".pyc", ".whl", ".srt", ".vtt", ".ttf", ".otf", ".url", ".webloc"),
    }
)


def count_suffixes(names: Iterable[str | Path]) -> str:
    """Returns `8,000 .ogg, 771 .wav, 3 without a suffix`, the most frequent first."""
    counts = Counter(Path(name).suffix.lower() or "without a suffix" for name in names)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {suffix}" for suffix, count in ordered)
