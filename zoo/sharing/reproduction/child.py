"""A trial in a process of its own: `python -m zoo.sharing.reproduction.child` reads it, and prints the outcome."""

import json
import os
import sys


def main() -> None:
    """Carries a trial out."""
    from zoo.backend.quiet_start import descriptor_2_silenced
    from zoo.sharing.reproduction.attempts import Attempt
    from zoo.sharing.reproduction.trying import outcome_document, try_it

    attempt = Attempt.from_text(sys.stdin.read())
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not the outcome
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with descriptor_2_silenced():
        from zoo.backend.determinism import fix_threads

        if attempt.threads is not None:
            fix_threads(attempt.threads)
        outcome = try_it(Attempt(recipe=attempt.recipe, data=attempt.data, weights=attempt.weights, run=attempt.run))
    print(json.dumps(outcome_document(outcome)), file=out)


if __name__ == "__main__":
    main()
