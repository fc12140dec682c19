"""SelfReward: the model that drew the image says how likely it answers "yes" when asked whether it fits."""

from collections.abc import Sequence

from PIL import Image

from milr_core.critics.base import Critic, Score
from milr_core.janus import Janus


class SelfReward(Critic):
    """P(yes) / (P(yes) + P(no)) at the first answer token: a soft value, where the paper's JSON verdict is hard."""

    name = "self"

    def __init__(self, model: Janus):
        self.model = model

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        question = self.model.question_template.format(prompt=prompt)
        values = self.model.yes_probability(images, question).tolist()
        return [Score(v, {"yes": v}, f"Asked '{question}', it says yes with probability {v:.2f}.") for v in values]
