"""Training settings, and what the command line derives from them."""

import subprocess
import sys
from dataclasses import fields

from digitnet.models.networks import MODELS
from digitnet.training.augmentation import AUGMENTS
from digitnet.training.config import (
    AUGMENTATIONS,
    DESCRIPTIONS,
    RECIPE_OF,
    RECIPES,
    TrainConfig,
    described,
    recipes_described,
)


def test_the_names_are_those_of_what_they_name():
    assert list(RECIPE_OF) == list(MODELS)
    assert list(AUGMENTATIONS) == list(AUGMENTS)
    assert DESCRIPTIONS.keys() == RECIPES.keys()
    assert all(name == recipe.recipe for name, recipe in RECIPES.items())
    assert all(RECIPES[recipe].model == model for model, recipe in RECIPE_OF.items())


def test_every_setting_is_described_in_a_sentence():
    for field in fields(TrainConfig):
        text = described(field.name)
        assert text[0].isupper(), text
        assert text.endswith(".")
        assert ";" not in text


def test_all_recipes_are_described_and_the_default_of_each_network_is_marked():
    text = recipes_described()
    assert all(f"{name} (" in text for name in RECIPES)
    assert text.count("(default, ") == len(RECIPE_OF)
    assert text.startswith("For digitnet: tutorial (")


def test_settings_need_neither_torch_nor_numpy(environment):
    code = "import sys, digitnet.training.config; print({'torch', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "set()\n"


def test_the_help_of_train_offers_every_choice(digitnet):
    _, out, _ = digitnet("train", "--help")
    shown = "".join(out.split())
    assert all(name in shown for name in (*RECIPES, *RECIPE_OF))
