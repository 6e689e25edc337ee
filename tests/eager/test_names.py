import pytest

import symdiff.eager as tfe


@pytest.mark.parametrize(
    "module", [tfe, tfe.data, tfe.layers, tfe.losses, tfe.metrics], ids=lambda m: m.__name__
)
def test_every_public_name_is_there_and_shows_an_example(module):
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        made = getattr(module, name)
        assert not callable(made) or ">>> " in made.__doc__, name
