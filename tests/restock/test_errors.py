"""Every error crosses processes, keeps its sentence and says how a command ends."""

from __future__ import annotations

import inspect
import pickle

import pytest

from restock import errors

EVERY = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.RestockError)]


@pytest.mark.parametrize("error", EVERY)
def test_an_error_survives_pickling_with_its_sentence_and_kind(error):
    copy = pickle.loads(pickle.dumps(error("The file is gone; send it again.")))

    assert (type(copy), str(copy), copy.kind) == (error, "The file is gone; send it again.", error.__name__)


def test_each_error_ends_the_command_with_the_promised_status():
    statuses = {error.__name__: error.exit_status for error in EVERY if error.exit_status != 1}

    assert statuses == {"ConfigurationError": 2, "RunHeld": 3, "TargetBusy": 4}
    assert issubclass(errors.SourceChanged, errors.SourceError)
