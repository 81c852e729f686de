"""Hypothesis as the source that a case is drawn from."""

from hypothesis import strategies as st

from refdiff.verify.cases import Case


class HypothesisSource:
    """Draws the numbers of a case so that Hypothesis can shrink each of them."""

    def __init__(self, draw):
        self.draw = draw

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def real(self, low, high):
        # thousandths: a counter-example is to be checked by hand, and shrinks towards `low`
        return self.draw(st.integers(round(low * 1000), round(high * 1000))) / 1000


@st.composite
def cases(draw):
    """Draw a Case."""
    return Case.draw(HypothesisSource(draw))
