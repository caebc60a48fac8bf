//! squall: puts a real cluster through a storm and says, with proof, whether it kept its promises
