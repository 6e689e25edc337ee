# %% [markdown]
# # Eager execution, step by step
#
# The article "TensorFlow's eager execution", with `symdiff.eager` in the place of TensorFlow, and
# at its end the same training in one compiled loop. Run it with `python examples/article.py`;
# `article.ipynb` is made from this file by `python examples/notebook.py`.

# %%
import time

import numpy as np

import symdiff.eager as tfe

# %% [markdown]
# ## Interactive operations
#
# An operation runs at once and gives a value, not a node of a graph.

# %%
x = tfe.constant([[2.0, 1.0], [0.0, 3.0]])
print(tfe.matmul(x, x))
print(f"the sum is {tfe.reduce_sum(x):.1f}, a row is {x[0].numpy()}")

# %% [markdown]
# ## Devices
#
# Data lie where they are made: on the CPU, or within a scope on another device, if there is one.

# %%
print("devices:", tfe.list_devices())
with tfe.device("/gpu:0" if tfe.num_gpus() else "/cpu:0"):
    placed = tfe.random_normal([1000, 1000])
print("placed on", placed.device, "and copied to", placed.cpu().device)

# %% [markdown]
# ## NumPy in and out

# %%
array = np.arange(4, dtype=np.float32)
doubled = tfe.constant(array) * 2
print(doubled.numpy(), np.add(doubled, array))

# %% [markdown]
# ## Arithmetic, logic, floor division and remainder
#
# Quotients are floored, so that a remainder has the sign of the divisor. Logic takes truth values.

# %%
a, b = tfe.constant([7, -7, 7, -7]), tfe.constant([3, 3, -3, -3])
print("//", (a // b).numpy(), " %", (a % b).numpy())
yes, no = tfe.constant([True]), tfe.constant([False])
print(
    "&",
    (yes & no).numpy(),
    " |",
    (yes | no).numpy(),
    " ^",
    (yes ^ no).numpy(),
    " ~",
    (~yes).numpy(),
)
print("comparison:", (a > 0).numpy())

# %% [markdown]
# ## Gradients of functions
#
# `gradients_function` gives the derivatives by all arguments. A gradient is a function like any
# other, so it has a gradient too.


# %%
def f(x, y):
    return x**2 - 2 * x * y + 3 * y


def square(x):
    return x * x


df = tfe.gradients_function(f)
print("df =", [float(g) for g in df(2.0, 1.0)])

slope = tfe.gradients_function(square)
curvature = tfe.gradients_function(lambda x: slope(x)[0])
print(f"square at 3: slope {slope(3.0)[0]:.0f}, curvature {curvature(3.0)[0]:.0f}")


# %% [markdown]
# Python's own control flow follows the values.


# %%
def distance(x):
    return x if x > 0.0 else -x


print("slopes of |x|:", [float(tfe.gradients_function(distance)(v)[0]) for v in (3.0, -3.0)])

# %% [markdown]
# ## Implicit gradients
#
# A layer makes its variables when it is first called. `implicit_gradients` differentiates by all
# variables that a function reads; an optimizer takes the pairs of gradients and variables.

# %%
rng = np.random.default_rng(0)
inputs = tfe.constant(rng.normal(size=(5, 3)).astype("float32"))
labels = tfe.constant((inputs.numpy() @ [[1.0], [2.0], [3.0]] + 0.5).astype("float32"))


def loss(model, x, y):
    return tfe.losses.mean_squared_error(y, model(x))


model = tfe.layers.Dense(1)
gradients = tfe.implicit_gradients(loss)
for gradient, variable in gradients(model, inputs, labels):
    print(variable.name, variable.shape, "has a gradient of shape", gradient.shape)

# %% [markdown]
# ## Training

# %%
optimizer = tfe.train.GradientDescentOptimizer(0.1)
value_and_gradients = tfe.implicit_value_and_gradients(loss)
for step in range(101):
    value, pairs = value_and_gradients(model, inputs, labels)
    optimizer.apply_gradients(pairs)
    if step % 50 == 0:
        print(f"step {step}: loss {value:.6f}")

# %% [markdown]
# ## Batches

# %%
x_all = rng.normal(size=(100, 3)).astype("float32")
y_all = (x_all @ [[1.0], [2.0], [3.0]] + 0.5).astype("float32")
dataset = tfe.data.Dataset.from_tensor_slices((x_all, y_all)).shuffle(100, seed=1).batch(20)

model = tfe.layers.Dense(1)
optimizer = tfe.train.AdamOptimizer(0.1)
for epoch in range(1, 21):
    for x_batch, y_batch in tfe.data.Iterator(dataset):
        value, pairs = value_and_gradients(model, x_batch, y_batch)
        optimizer.apply_gradients(pairs)
    if epoch % 10 == 0:
        print(f"epoch {epoch}: loss {value:.6f}")

# %% [markdown]
# ## The same in a compiled loop
#
# `compile_step` makes one kernel of a step: the loss, its gradients, the update. `run` makes many
# steps without coming back to Python. Variables and the optimizer's state go on where they are.

# %%
N = 1000
model = tfe.layers.Dense(1)
optimizer = tfe.train.GradientDescentOptimizer(0.01)
step = tfe.compile_step(loss, optimizer)
step.run(model, inputs, labels, steps=N)  # the first calls trace and compile
step(model, inputs, labels)
value_and_gradients(model, inputs, labels)


def as_written():
    for _ in range(N):
        _, pairs = value_and_gradients(model, inputs, labels)
        optimizer.apply_gradients(pairs)


def compiled():
    for _ in range(N):
        step(model, inputs, labels)


def in_a_loop():
    step.run(model, inputs, labels, steps=N)


for way in (as_written, compiled, in_a_loop):
    began = time.perf_counter()
    way()
    print(f"{way.__name__}: {(time.perf_counter() - began) / N * 1e6:.2f} us a step")

# %% [markdown]
# `fit` goes through batches that way, of arrays or of a dataset.

# %%
model = tfe.layers.Dense(1)
result = tfe.fit(
    loss,
    tfe.train.AdamOptimizer(0.1),
    (x_all, y_all),
    args=(model,),
    epochs=100,
    batch_size=20,
)
print(result)
print("weights", model.variables[0].numpy().ravel().round(3), "bias", model.variables[1].numpy())
