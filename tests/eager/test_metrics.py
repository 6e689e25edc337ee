import numpy as np
import pytest

import symdiff.eager as tfe

T, metrics = tfe.constant, tfe.metrics


def test_a_mean_of_batches_of_different_sizes():
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=n) for n in (1, 5, 3)]
    mean = metrics.Mean()
    for batch in batches:
        mean(T(batch))
    assert float(mean.result()) == pytest.approx(np.mean(np.concatenate(batches)), rel=1e-14)
    mean.init_variables()
    assert np.isnan(mean.result().numpy())
    mean(2)
    assert mean.result().numpy() == 2


def test_weights():
    mean = metrics.Mean()
    mean([[1.0, 2.0], [3.0, 4.0]], weights=[1, 0])
    assert float(mean.result()) == 1.5
    mean([[10.0, 20.0]], weights=[[0.0, 3.0]])
    assert float(mean.result()) == (3 + 60) / 5
    mean([1.0, 1.0], weights=5.0)
    assert float(mean.result()) == (3 + 60 + 10) / 15
    with pytest.raises(ValueError, match="broadcast"):
        mean([1.0, 2.0], weights=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"weights of shape \(2,\) for values of \(1,\)"):
        mean([1.0], weights=[1.0, 2.0])
    assert float(mean.result()) == (3 + 60 + 10) / 15


def test_many_small_numbers_are_not_lost():
    mean = metrics.Mean()
    mean(np.float32(2**24))
    for _ in range(8):
        mean(np.float32(1.0))
    assert float(mean.result()) == (2**24 + 8) / 9
    assert metrics.Mean("float32").result().dtype == "float32"


def test_labels_and_predictions_may_have_other_integers():
    accuracy = metrics.Accuracy()
    accuracy(np.array([1, 2, 3, 4], np.uint8), T([1, 2, 0, 0]))
    assert float(accuracy.result()) == 0.5
    accuracy([1, 2], tfe.argmax([[0.0, 1.0], [1.0, 0.0]], axis=1), weights=[3.0, 1.0])
    assert float(accuracy.result()) == 5 / 8
    accuracy.init_variables()
    accuracy([True], [True])
    assert float(accuracy.result()) == 1
    with pytest.raises(ValueError, match=r"labels have shape \(1,\), predictions \(2,\)"):
        accuracy([1], [1, 2])
    with pytest.raises(TypeError, match="int32 and float32"):
        accuracy([1], [1.0])


def test_a_checkpoint_saves_what_was_gathered(tmp_path):
    mean = metrics.Mean()
    mean([1.0, 2.0])
    checkpoint = tfe.Checkpoint(mean=mean)
    path = checkpoint.save(tmp_path / "state")
    mean(100.0)
    checkpoint.restore(path)
    assert float(mean.result()) == 1.5


def test_a_metric_inside_a_function_that_is_differentiated_is_refused():
    mean = metrics.Mean()

    def f(x):
        mean(x)
        return x * x

    with pytest.raises(NotImplementedError, match="outside"):
        tfe.gradients_function(f)(1.0)
