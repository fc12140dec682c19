"""The script for checkpoints of true size: what can be seen without writing one."""

import torch

from bench import true_size
from milr_core.janus import MODELS, placement
from milr_core.janus.configuration import shapes_of


def test_the_shapes_are_janus_pros_but_for_the_side_of_images():
    true = shapes_of(MODELS[true_size.SIZES["1b"]].config)
    short = shapes_of(true_size.true_config("1b", 96))
    other = {name for name in true if true[name] != short[name]}
    assert other == {"model.vision_model.embeddings.position_embedding.weight"} and true.keys() == short.keys()


def test_the_tokenizer_has_a_word_for_every_id():
    tokenizer = true_size._tokenizer(2000)
    assert len(tokenizer) == 2000 and tokenizer.decode(torch.tensor([1999])) == "w1999"
    assert tokenizer("two red dogs").input_ids[0] == tokenizer.bos_token_id


def test_figures_replace_the_row_that_begins_the_same(tmp_path, monkeypatch):
    page = tmp_path / "models.md"
    page.write_text(f"before\n{true_size.BEGIN}{true_size.END}\nafter\n")
    monkeypatch.setattr(true_size, "PAGE", page)
    true_size.write_row("| 7b | cuda |", "| 7b | cuda | 1 |", "`command`, today")
    true_size.write_row("| 1b | cpu |", "| 1b | cpu | 1 |", "`command`, today")
    true_size.write_row("| 1b | cpu |", "| 1b | cpu | 2 |", "`command`, tomorrow")
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and text.count("| size |") == 1
    assert "| 1b | cpu | 2 |\n| 7b | cuda | 1 |\n" in text and "| 1b | cpu | 1 |" not in text
    assert text.count("tomorrow") == 1 and text.count("today") == 1


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch):
    arguments = ["--size", "7b", "--device", "cpu", "--dtype", "float32", "--out", str(tmp_path / "no")]
    monkeypatch.setattr(placement, "free_bytes", lambda device: 20e9)
    assert true_size.main(arguments) == 2
    assert "Janus-Pro-7B needs 3" in capsys.readouterr().err and not (tmp_path / "no").exists()
