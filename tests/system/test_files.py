import errno
import shutil
from types import SimpleNamespace

from zoo.system.files import say_room


def test_room_is_that_of_the_disk_that_a_folder_is_on(tmp_path, monkeypatch):
    """Not that of the folder above, which is another disk's where the folder is where one is mounted."""
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda place: asked.append(place) or SimpleNamespace(free=7))
    for path in (tmp_path, tmp_path / "new"):
        fault = OSError(errno.ENOSPC, "full")
        say_room(fault, path, needed=1000)
        assert fault.filename == str(path)
        assert str(fault.strerror).endswith("(1,000 bytes needed, 7 free)")
    assert asked == [tmp_path, tmp_path]
