"""Mask2Former on COCO: instances with masks, post-processed as mmdetection does for GenEval.

transformers' own `post_process_instance_segmentation` is not used: it works at 384 x 384, does not sort, and
thresholds with >=. Here, as in mmdetection: 800 pixels on the shorter side; the top 100 of query x class; a mask is
logit > 0 at the image's size; score = class probability x mean sigmoid inside the mask; box = extent of the mask.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from milr_core.critics.base import Weights
from milr_core.critics.geneval_spec import CLASSES, COCO_NAMES, OTHER_SPELLINGS
from milr_core.critics.models.boxes import Detection
from milr_core.critics.pretrained import Pretrained
from milr_core.errors import CriticError

SHORTEST, LONGEST, TOP = 800, 1333, 100


class Mask2Former(Pretrained):
    weights = Weights(
        "facebook/mask2former-swin-small-coco-instance", "Mask2FormerForUniversalSegmentation",
        "instance detector", 0.3, "other (as the hub states it)",
    )  # fmt: skip
    images_kind = "Mask2FormerImageProcessorPil"
    reads_text = False

    size = {"shortest_edge": SHORTEST, "longest_edge": LONGEST}

    def prepare(self) -> None:
        names = self.model.config.id2label
        if len(names) != len(CLASSES):
            raise CriticError(f"it knows {len(names)} classes, GenEval's {len(CLASSES)} are those of COCO")
        for index, name in enumerate(COCO_NAMES):
            if OTHER_SPELLINGS.get(names[index], names[index]) != name:
                raise CriticError(f"its class {index} is '{names[index]}', COCO's is '{name}'")

    @torch.no_grad()
    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """Every detection of each image, best first, named as GenEval names them; no threshold yet."""
        self.load()
        inputs = self.image_processor(
            [image.convert("RGB") for image in images], size=self.size, size_divisor=0, return_tensors="pt"
        )
        pixels, inside = inputs["pixel_values"], inputs["pixel_mask"]
        output = self.model(pixel_values=pixels.to(self.device), pixel_mask=inside.to(self.device))
        found = []
        for row, image in enumerate(images):
            height, width = int(inside[row].any(1).sum()), int(inside[row].any(0).sum())
            masks = interpolate(
                output.masks_queries_logits[row : row + 1].float(), pixels.shape[-2:], mode="bilinear"
            )[..., :height, :width]  # fmt: skip
            masks = interpolate(masks, (image.height, image.width), mode="bilinear")[0]
            found.append(instances(output.class_queries_logits[row].float(), masks))
        return found


def instances(class_logits: Tensor, mask_logits: Tensor) -> list[Detection]:
    """Detections from (queries, classes + 1) class logits and (queries, height, width) mask logits, best first."""
    probabilities = class_logits.softmax(-1)[:, :-1]
    classes = probabilities.shape[1]
    top = probabilities.flatten().topk(min(TOP, probabilities.numel()))
    found = []
    for probability, index in zip(top.values.tolist(), top.indices.tolist(), strict=True):
        query, kind = divmod(index, classes)
        logits = mask_logits[query]
        mask = logits > 0
        inside = logits[mask].sigmoid().sum() / (mask.sum() + 1e-6)
        mask = mask.cpu().numpy()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):
            box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        else:
            box = (0.0, 0.0, 0.0, 0.0)
        found.append(Detection(CLASSES[kind], probability * float(inside), box, mask))
    return sorted(found, key=lambda d: -d.score)
