"""A shelf in a repository of the Hugging Face Hub: what is written is a commit, made on the one that was looked at.

The Hub refuses a commit whose parent is no longer the newest (`parentCommit`): that makes a document exclusively.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.shelves.faults import ShelfError
from zoo.shelves.places.filesystem import FileSystemPlace

# Others that commit at the same time come first so often.
ATTEMPTS = 30
_PRECONDITION_FAILED = 412


class HubPlace(FileSystemPlace):
    """A shelf on the Hub; see `Place` for what it offers."""

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists the versions that have a document."""
        self._system.invalidate_cache()
        return super().documents(name)

    def create(self, path: str, content: bytes) -> bool:
        """Writes a file that is not there yet."""
        for _ in range(ATTEMPTS):
            with self._explained(path, is_written=True):
                repository, at = self._repository(path)
                newest = self._api.repo_info(**repository).sha
                if self._api.file_exists(filename=at, revision=newest, **repository):
                    return False
            if self._commit(path, content, parent=newest):
                return self.read(path, limit=len(content)) == content
        raise ShelfError(f"{self.url}/{path}: others commit without end; push again later")

    def replace(self, path: str, content: bytes) -> None:
        """Writes a small file over what may be there."""
        for _ in range(ATTEMPTS):
            if self._commit(path, content):
                return
        raise ShelfError(f"{self.url}/{path}: others commit without end; push again later")

    def _write(self, path: str, copy: Any, size: int) -> None:
        """Commits a file that is named by its content."""
        for _ in range(ATTEMPTS):
            copy.seek(0)
            if self._commit(path, copy):
                return
        raise ShelfError(f"{self.url}/{path}: others commit without end; push again later")

    def _pieces(self, path: str, size: int) -> Iterator[bytes]:
        self._system.invalidate_cache()
        return super()._pieces(path, size)

    @property
    def _api(self) -> Any:
        return self._system._api

    def _repository(self, path: str) -> tuple[dict[str, Any], str]:
        """Returns the repository of a file, and its path there."""
        found = self._system.resolve_path(self._at(path))
        return {"repo_id": found.repo_id, "repo_type": found.repo_type}, str(Path(found.path_in_repo).as_posix())

    def _commit(self, path: str, content: Any, *, parent: str | None = None) -> bool:
        """Commits a file; returns False where another commit came first."""
        from huggingface_hub import CommitOperationAdd
        from huggingface_hub.errors import HfHubHTTPError

        with self._explained(path, is_written=True):
            repository, at = self._repository(path)
            try:
                self._api.create_commit(
                    operations=[CommitOperationAdd(path_in_repo=at, path_or_fileobj=content)],
                    commit_message=f"Add {path}",
                    parent_commit=parent,
                    **repository,
                )
            except HfHubHTTPError as fault:
                if fault.response.status_code == _PRECONDITION_FAILED:
                    return False
                raise
        return True
