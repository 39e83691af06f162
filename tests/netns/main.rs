//! The whole binary on real veths. Needs root; each network is made of namespaces of its own.
mod links;
mod symptoms;
