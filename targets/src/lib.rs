//! Systems under test, a module each
