"""Records made by hand, for what reads them; and a tiny Janus that takes any word, for benchmarks of other worlds."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from transformers import JanusProcessor


@pytest.fixture(scope="session")
def any_word_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Janus with a tokenizer that has no notion of an unknown word."""
    folder = copytree(tiny_folder, tmp_path_factory.mktemp("any") / "tiny-any-word")
    processor = JanusProcessor.from_pretrained(folder)
    processor.tokenizer.unk_token = None
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """A record of `rewards`, one image rollout a step, right above 0.9."""

    def make(item: str, method: str, rewards: list[float], seed: int = 0, **more: Any) -> dict[str, Any]:
        return {
            "item": item, "method": method, "seed": seed, "prompt": f"prompt {item}", "category": "one",
            "guide": "oracle", "judge": "oracle", "settings": {}, "best": 0, "rewards": rewards,
            "judged": rewards, "right": [r > 0.9 for r in rewards], "observed": {},
            "rollouts": list(range(1, len(rewards) + 1)), "image_rollouts": len(rewards), "text_tokens": 10,
            "image_tokens": 36 * len(rewards), "critic_calls": len(rewards), "tags": {},
            "timing": {"seconds": 1.0}, **more,
        }  # fmt: skip

    return make
