"""Wheels of pure Python made by hand, and packages that are installed as far as importlib.metadata can see."""

import base64
import hashlib
import json
import zipfile


def wheel(folder, name, version, requires=()):
    """Writes a wheel with one module; gives its path."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{module}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in files.items():
            archive.writestr(one, text)
    return path


def installed(site, path, *, source=None):
    """Unpacks a wheel where packages lie, as pip does; `source` is where it is from, if not from an index."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(site)
        info = next(name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    if source is not None:
        (site / info / "direct_url.json").write_text(json.dumps({"url": source, "dir_info": {}}))
