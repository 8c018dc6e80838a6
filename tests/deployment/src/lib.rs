//! Checks of what is shipped beside the binary; see `tests/deployment`. This library is empty: a package needs one.
