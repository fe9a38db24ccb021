import numpy as np
import pytest
import torch

from digitnet import TrainingError
from digitnet.core.digits import STRIP_HEIGHT
from digitnet.data.synthesis.scribe import Written
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.imaging.normalization import strip
from digitnet.models import checkpoint
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.models.networks import LineNet
from digitnet.models.onnx_models import padded
from digitnet.training.config import RECIPES
from digitnet.training.line_loop import (
    BLANK,
    CLASSES,
    Batch,
    batch_of,
    batches,
    evaluate_lines,
    losses,
    targets,
    train_lines,
)
from digitnet.training.loop import new_network

CPU = torch.device("cpu")


def test_a_batch_has_where_every_digit_reaches(sources):
    line = sources.scribe(1).line("4-7")
    one = strip(255 - line.image)
    batch = batch_of([line], [one])
    scale = np.array([one.shape[1] / line.image.shape[1], STRIP_HEIGHT / line.image.shape[0]] * 2)
    middle = (np.arange(batch.x.shape[3] // STRIDE) + 0.5) * STRIDE
    assert len(line.boxes) == 2
    for box in line.boxes:
        left, top, right, bottom = box * scale + np.array([MARGIN, 0, MARGIN, 0])
        column = int(np.abs(middle - (left + right) / 2).argmin())
        reach = batch.reach[0, column].numpy() * STRIP_HEIGHT
        assert batch.on[0, column]
        assert middle[column] - reach[0] == pytest.approx(left, abs=1e-3)
        assert STRIP_HEIGHT / 2 - reach[1] == pytest.approx(top, abs=1e-3)
        assert middle[column] + reach[2] == pytest.approx(right, abs=1e-3)
        assert STRIP_HEIGHT / 2 + reach[3] == pytest.approx(bottom, abs=1e-3)


def test_strips_are_padded_with_paper_at_both_ends():
    strips = [np.full((STRIP_HEIGHT, 30), 200, np.uint8), np.full((STRIP_HEIGHT, 51), 100, np.uint8)]
    together = padded(strips)
    assert together.shape[2] % STRIDE == 0
    for row, one in zip(together, strips, strict=True):
        assert np.array_equal(row[:, MARGIN : MARGIN + one.shape[1]], one)
        assert not row[:, :MARGIN].any()
        assert not row[:, MARGIN + one.shape[1] :].any()


def test_an_epoch_holds_all_its_lines_and_is_repeatable(sources):
    def texts(seed):
        return [text for batch in batches(sources.scribe(seed), 40, 16) for text in batch.texts]

    first = texts(1)
    assert len(first) == 40
    assert first == texts(1)
    assert first != texts(2)


def test_the_loss_is_least_where_the_answer_is_right(sources):
    line = sources.scribe(2).line("3.1")
    batch = batch_of([line], [strip(255 - line.image)])
    columns = batch.x.shape[3] // STRIDE

    class Answer(torch.nn.Module):
        def __init__(self, text):
            super().__init__()
            logits = torch.full((1, columns, CLASSES + 5), -8.0)
            logits[..., BLANK] = 0
            for place, character in enumerate(text, 1):
                logits[0, place * int(batch.columns[0]) // 4, ALPHABET.index(character)] = 8
            logits[..., CLASSES:-1] = batch.reach
            logits[..., -1] = torch.where(batch.on, 8, -8)
            self.logits = torch.nn.Parameter(logits)

        def forward(self, x, columns):
            return self.logits

    right, boxes, presence = losses(Answer("3.1"), batch, CPU, False)
    wrong, _, _ = losses(Answer("3.7"), batch, CPU, False)
    assert right < 0.2 < wrong
    assert boxes == 0
    assert presence < 0.001


def test_textures_teach_where_no_digit_is_and_nothing_to_read():
    empty = Written(np.full((30, 60), 200, np.uint8), None, np.zeros((0, 4), np.float32))
    batch = batch_of([empty], [strip(255 - empty.image)])
    assert isinstance(batch, Batch)
    assert not batch.on.any()
    loss, boxes, presence = losses(LineNet().eval(), batch, CPU, False)
    assert loss == boxes == 0
    assert presence > 0.1


def test_targets_are_the_places_of_characters_in_the_alphabet():
    assert targets(["07", None, ".?"]).tolist() == [0, 7, 10, len(ALPHABET) - 1]


def test_a_strip_is_read_alike_alone_and_beside_a_wider_one(sources):
    network = LineNet().eval()
    lines = [sources.scribe(3).line("12"), sources.scribe(4).line("123456789")]
    strips = [strip(255 - line.image) for line in lines]
    both, alone = batch_of(lines, strips), batch_of(lines[:1], strips[:1])
    own = int(both.columns[0]) - 4  # convolutions see a little of the padding, which is paper in both
    with torch.no_grad():
        one, other = network(both.x, both.columns)[0, :own], network(alone.x, alone.columns)[0, :own]
    assert both.x.shape[3] > alone.x.shape[3]
    assert torch.allclose(one, other, atol=1e-3)


def test_training_lowers_the_loss_and_keeps_every_epoch(line_training, few):
    done = line_training.epochs
    assert [epoch.number for epoch in done] == [1, 2]
    assert done[-1].loss < 0.9 * done[0].loss
    assert done[-1].scores.n == len(few)
    assert isinstance(checkpoint.load_network(line_training.folder), LineNet)


@pytest.mark.parametrize("within", [False, True], ids=["after an epoch", "within an epoch"])
def test_an_interrupted_training_ends_with_the_same_weights(sources, few, line_training, tmp_path, within):
    def stopping(seed):
        scribe = sources.scribe(seed)
        line, count = scribe.line, 0

        def some():
            nonlocal count
            count += 1
            if count > 24 and seed % 100_003 == 2:
                raise KeyboardInterrupt
            return line()

        scribe.line = some
        return scribe

    config = line_training.config
    half = train_lines(new_network(config), stopping if within else sources.scribe, few, config, tmp_path)
    next(half)
    if within:
        with pytest.raises(KeyboardInterrupt):
            next(half)
    half.close()
    list(train_lines(new_network(config), sources.scribe, few, config, tmp_path, resume=True))
    weights, whole = (checkpoint.load_network(folder).state_dict() for folder in (tmp_path, line_training.folder))
    assert all(torch.equal(weights[name], whole[name]) for name in whole)


def test_the_recipe_warms_up_for_six_epochs_and_cools_down_in_the_last_quarter():
    recipe = RECIPES["line"]
    assert recipe.lines == 4096
    assert recipe.warmup * recipe.passes == pytest.approx(6)
    assert recipe.cooldown == 0.25


def test_training_needs_lines_to_validate_on(sources, line_training, tmp_path):
    config = line_training.config
    with pytest.raises(TrainingError, match="lines for validation"):
        next(train_lines(new_network(config), sources.scribe, [], config, tmp_path))


def test_judging_reads_the_best_class_of_every_column(few):
    class Silent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            answer = torch.zeros(len(x), x.shape[3] // STRIDE, CLASSES + 5)
            answer[..., BLANK] = 5
            answer[:, 2:4, 7] = 9  # two columns of one digit are one digit
            answer[:, 5, 7] = 9  # and after a blank it is another
            return answer

    scores = evaluate_lines(Silent(), few)
    assert set(scores.read) == {"77"}
    assert scores.true == tuple(line.written for line in few)


def test_the_network_answers_a_column_for_every_four_pixels():
    network = LineNet().eval()
    assert sum(weight.numel() for weight in network.parameters()) == 1_801_988
    for width in (16, 60, 400):
        assert network(torch.zeros(2, 1, STRIP_HEIGHT, width)).shape == (2, width // STRIDE, CLASSES + 5)
