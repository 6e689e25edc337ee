"""A network of two layers learns to read handwritten digits; the loss is told while it trains.

Run it with ``python examples/digits.py``. The images are those of scikit-learn's ``load_digits``,
which come with symdiff too.
"""

import numpy as np

import symdiff.eager as tfe
from symdiff.cli.digits import load

EPOCHS = 60

digits = load()  # 1437 images of 64 pixels to learn from, 360 to be tested with
model = tfe.layers.Sequential([tfe.layers.Dense(64, tfe.tanh), tfe.layers.Dense(10)])


def loss(x, y):
    return tfe.losses.softmax_cross_entropy(y, model(x))


def accuracy():
    found = tfe.argmax(model(tfe.constant(digits.x_test)), axis=1).numpy()
    return np.mean(found == digits.y_test.argmax(axis=1))


def tell(epoch, mean):
    if epoch % 10 == 0:
        print(f"epoch {epoch}: loss {mean:.4f}, {accuracy():.1%} of the test's digits are read")


tfe.set_random_seed(0)
result = tfe.fit(
    loss,
    tfe.train.AdamOptimizer(5e-3),
    (digits.x, digits.y),
    epochs=EPOCHS,
    batch_size=128,
    callback=tell,
)
print(result)
assert accuracy() > 0.95
