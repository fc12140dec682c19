"""A running page as a service: start it with `make demo`, then

python -m examples.client http://127.0.0.1:7860 "three green apples"
"""

import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from gradio_client import Client
from gradio_client.exceptions import AppError

from milr_core import Trajectory

URL, PROMPT = "http://127.0.0.1:7860", "three green apples"


def main(argv: Sequence[str]) -> int:
    url, prompt = (*argv, *(URL, PROMPT)[len(argv) :])
    job = Client(url, verbose=False).submit(prompt, steps=4, threshold=1.0, api_name="/search_image")
    answer: Any = {}
    for answer in job:  # one after each step, and at last the best image and the run
        step = answer["steps"][-1]
        if "bundle" not in answer:
            print(f"step {step['index']}: {step['reward']:.2f} {step['reason']}")
    try:
        job.result()  # what went wrong is said here: a job that is iterated over just ends
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:  # the whole run, to look at or to go on with
        run = Trajectory.from_zip(answer["bundle"], f"{folder}/run")
        run.image(answer["best"]).save("best.png")
    print(f"The best is step {answer['best']}, in best.png.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
