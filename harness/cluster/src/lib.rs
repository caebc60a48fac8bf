//! What a node is: programs, files, links, and the traits a provider implements
