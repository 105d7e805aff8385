"""What the page's controls look up in P' instead of the classes alone.

A claim is worth something if an outcome could contradict it. Three controls ask other words:

    absent     a word that is not in the picture, behind the classes: it should get nothing
    twice      the first class once more, behind the classes: both should get the same map, and
               which of them wins a pixel is then decided by rounding
    reversed   the classes in reverse order: nothing should change

They cost no UNet pass: the queries stay, the keys of another P' meet them (prompts.py). The other
controls change self-attention or the levels' weights, and the page does them by itself.
"""
from collections.abc import Sequence

from ..attention import CapturedAttention
from ..faseg import FASeg
from ..model import Model
from ..prompts import Lookup, class_prompts
from .pack import Question

# Things that few pictures show; every model here knows the words.
UNLIKELY = ("bus", "boat", "umbrella", "mushroom", "rabbit", "cow", "house", "ball")
MOST = 254                                                  # classes that labels can number


def unlikely_word(known: Sequence[str]) -> str | None:
    """A word that is probably not in the picture. known: names of what is or may be there."""
    words = " ".join(known).casefold().split()
    return next((word for word in UNLIKELY if word not in words), None)


def questions(model: Model, method: FASeg, captured: CapturedAttention,
              absent: str | None) -> dict[str, Question]:
    """"own", and the three controls where the method has a P'.

    absent: a word that is in no class and not in the picture; None: that control is left out.
    Raises InputError for a word that the model does not know.
    """
    own = captured.classes
    found = {"own": Question(own, captured.lookup)}
    if not method.dual or len(own) >= MOST:
        return found

    def ask(*classes: str) -> Lookup:
        return class_prompts(model.text, classes, method.alone)

    if absent is not None:
        found["absent"] = Question((*own, absent), ask(*own, absent))
    found["twice"] = Question((*own, own[0]), ask(*own, own[0]))
    if len(own) > 1:
        states, spans = ask(*reversed(own))
        found["reversed"] = Question(own, Lookup(states, spans[::-1]))      # in the own order again
    return found
