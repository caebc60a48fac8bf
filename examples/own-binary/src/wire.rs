//! What goes over the wire, as `message` and `rpc` of a `.proto` file would say it.

/// `rpc Raise(Ask) returns (Answer)`
pub const RAISE: &str = "/toy.Toy/Raise";
/// `rpc Read(Ask) returns (Answer)`
pub const READ: &str = "/toy.Toy/Read";

#[derive(Clone, PartialEq, prost::Message)]
pub struct Ask {
    #[prost(string, tag = "1")]
    pub key: String,
    /// Of no meaning to a read.
    #[prost(int64, tag = "2")]
    pub number: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer {
    #[prost(int64, tag = "1")]
    pub highest: i64,
}
