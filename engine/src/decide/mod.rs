//! Every rule that branches, as pure functions shared by broker and client.
