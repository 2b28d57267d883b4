"""Whatever JSON can say, for bodies that nobody meant."""

from hypothesis import strategies as st

_TEXT = st.text(st.characters(), max_size=20)  # halves of surrogate pairs as well: JSON can say them
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=8,
)
