"""What the knowledge riddles ask about: colours of things, how many of something there are, shapes of things.

Each fact has the words that ask for it and a sentence that states it; the reasoning text of a riddle begins
with that sentence.
"""

COLOR_FACTS: dict[str, str] = {
    "grass": "green", "a frog": "green", "a leaf": "green", "an emerald": "green", "broccoli": "green",
    "blood": "red", "a tomato": "red", "a strawberry": "red", "a ruby": "red", "a fire engine": "red",
    "the sky": "blue", "the ocean": "blue", "a sapphire": "blue", "a blueberry": "blue",
    "a lemon": "yellow", "a banana": "yellow", "the sun": "yellow", "butter": "yellow", "a canary": "yellow",
    "a pumpkin": "orange", "a carrot": "orange", "a tangerine": "orange", "a basketball": "orange",
    "an eggplant": "purple", "a plum": "purple", "lavender": "purple", "an amethyst": "purple",
    "coal": "black", "a raven": "black", "tar": "black", "a panther": "black",
}  # fmt: skip
"""Thing -> its colour: "a triangle the color of grass"."""

COUNT_FACTS: dict[str, tuple[int, str]] = {
    "wheels on a car": (4, "a car has four wheels"),
    "legs on a horse": (4, "a horse has four legs"),
    "legs on a table": (4, "a table has four legs"),
    "seasons in a year": (4, "a year has four seasons"),
    "wheels on a tricycle": (3, "a tricycle has three wheels"),
    "legs on a tripod": (3, "a tripod has three legs"),
    "lights on a traffic light": (3, "a traffic light has three lights"),
    "corners on a triangle": (3, "a triangle has three corners"),
    "wheels on a bicycle": (2, "a bicycle has two wheels"),
    "wings on a bird": (2, "a bird has two wings"),
    "eyes on a face": (2, "a face has two eyes"),
    "hands on a clock": (2, "a clock has two hands"),
}
"""Counted things -> (how many, the sentence that says so): "as many squares as wheels on a car"."""

SHAPE_FACTS: dict[str, str] = {
    "a wheel": "circle", "a coin": "circle", "the moon": "circle", "a ball": "circle",
    "a chessboard": "square", "a dice": "square", "a stamp": "square",
    "a pyramid": "triangle", "a slice of pizza": "triangle", "a tent": "triangle",
    "a plus sign": "cross", "a hospital sign": "cross",
}  # fmt: skip
"""Thing -> its shape: "a red thing shaped like a wheel"."""


def color_sentence(thing: str) -> str:
    return f"{thing} is {COLOR_FACTS[thing]}"


def count_sentence(things: str) -> str:
    return COUNT_FACTS[things][1]


def shape_sentence(thing: str) -> str:
    return f"{thing} is a {SHAPE_FACTS[thing]}"
