"""The nouns of the world: what can be drawn, of which kind it is, and where its sprite comes from.

GenEval's eighty names come first, in the order of its own list, then the most familiar other things. A sprite is an
icon of the Fluent Emoji Flat set (MIT, see NOTICE.md) or, where the set lacks it, an SVG of this project's own
(`world/icons.py`).
"""

GENEVAL = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "computer mouse", "tv remote", "computer keyboard", "cell phone", "microwave", "oven", "toaster",
    "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""GenEval's object names, all eighty, in its order."""

KINDS: dict[str, tuple[str, ...]] = {
    "animals": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "lion", "tiger",
        "penguin", "owl", "rooster", "duck", "frog", "fish", "whale", "dolphin", "shark", "octopus", "turtle",
        "crocodile", "snake", "snail", "spider", "bee", "butterfly", "rabbit", "monkey", "pig", "fox", "camel",
        "panda", "koala", "kangaroo",
    ),
    "people": ("person",),
    "plants": (
        "potted plant", "cactus", "sunflower", "rose", "tree", "palm tree", "pine tree", "mushroom", "maple leaf",
    ),
    "food": (
        "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
        "strawberry", "grapes", "watermelon", "pineapple", "lemon", "cherries", "corn", "tomato", "cheese", "bread",
        "egg", "hamburger", "ice cream", "honey",
    ),
    "kitchen": (
        "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "microwave", "oven", "toaster", "sink",
        "refrigerator",
    ),
    "home": (
        "chair", "couch", "bed", "dining table", "toilet", "tv", "tv remote", "clock", "vase", "book", "scissors",
        "teddy bear", "hair drier", "toothbrush", "key", "candle", "light bulb", "umbrella", "bench",
    ),
    "vehicles": (
        "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "rocket",
    ),
    "street": ("traffic light", "fire hydrant", "stop sign", "parking meter"),
    "clothes and bags": ("backpack", "handbag", "tie", "suitcase", "crown"),
    "sport and play": (
        "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
        "surfboard", "tennis racket", "balloon",
    ),
    "music": ("guitar", "violin", "bell"),
    "machines and tools": (
        "laptop", "computer mouse", "computer keyboard", "cell phone", "camera", "hammer", "magnet", "compass",
        "telescope", "microscope", "thermometer", "battery", "hourglass", "globe",
    ),
    "buildings and mountains": ("house", "castle", "statue of liberty", "volcano", "mount fuji"),
    "sky and seasons": (
        "sun", "moon", "star", "planet", "cloud", "rainbow", "lightning", "snowflake", "snowman", "water drop", "fire",
        "pumpkin", "christmas tree",
    ),
    "body": ("heart", "brain", "dna"),
}  # fmt: skip
"""Every noun by kind: what is near in meaning to what."""

NOUNS: tuple[str, ...] = (*GENEVAL, *(n for kind in KINDS.values() for n in kind if n not in GENEVAL))
"""All nouns, GenEval's first. A noun's index here is part of the image tokens' order."""

KIND_OF: dict[str, str] = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}

IRREGULAR = {
    "person": "people", "bus": "buses", "sheep": "sheep", "skis": "skis", "wine glass": "wine glasses",
    "knife": "knives", "scissors": "scissors", "bench": "benches", "couch": "couches", "sandwich": "sandwiches",
    "toothbrush": "toothbrushes", "computer mouse": "computer mice", "broccoli": "broccoli",
    "cherries": "cherries", "grapes": "grapes", "fish": "fish", "octopus": "octopuses", "fox": "foxes",
    "butterfly": "butterflies", "strawberry": "strawberries", "tomato": "tomatoes", "bread": "breads", "corn": "corn",
    "honey": "honey", "battery": "batteries", "maple leaf": "maple leaves", "statue of liberty": "statues of liberty",
    "compass": "compasses", "hourglass": "hourglasses", "lightning": "lightning", "mount fuji": "mount fuji",
    "dna": "dna", "ice cream": "ice creams", "cheese": "cheeses",
}  # fmt: skip


def plural(noun: str) -> str:
    """The noun for two and more of it. (GenEval's own lines add a bare s: "two knifes"; the grammar reads both.)"""
    return IRREGULAR.get(noun, noun + "s")
