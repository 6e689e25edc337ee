"""A line through points: the loss reads two variables, the loop runs in one kernel.

Run it with ``python examples/linear_regression.py``.
"""

import numpy as np

import symdiff.eager as tfe

x = tfe.constant([0.0, 1.0, 2.0, 3.0])
y = 3 * x + 2
w, b = tfe.Variable(5.0), tfe.Variable(10.0)


def loss():
    return tfe.reduce_mean(tfe.square(x * w + b - y))


optimizer = tfe.train.GradientDescentOptimizer(0.1)

print("a step as it is written:")
print(f"  loss {optimizer.minimize(loss):.4f}, then w = {w:.4f}, b = {b:.4f}")

step = tfe.compile_step(loss, optimizer)
print("a step in one kernel:")
print(f"  loss {step():.4f}, then w = {w:.4f}, b = {b:.4f}")

result = step.run(steps=98)
print("98 steps in one kernel:")
print(f"  {result}")
print(f"  w = {w:.7f}, b = {b:.7f}")

assert np.allclose([float(w), float(b)], [2.9941127, 2.0125697], rtol=1e-5)
