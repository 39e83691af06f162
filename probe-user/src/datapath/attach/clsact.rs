//! Filters at a clsact qdisc, for kernels without TCX and on request.
//!
//! We join a qdisc that is there, have a priority and a handle of our own, and remove a qdisc only if an instance of
//! ours made it and nobody's filter is left.
#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of the netlink crates are non-exhaustive")]
use super::owner::{FilterName, Owner};
use crate::datapath::links::{Connection, NetlinkError};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Priority of our filters where nobody else's of another kind has it; 1 is left to those who must be first.
const PRIORITY: u16 = 2;
/// `ETH_P_ALL`, in network order as the kernel wants it.
const ALL_PROTOCOLS: u16 = 3_u16.to_be();
/// The one handle that a clsact or ingress qdisc can have.
const QDISC_HANDLE: TcHandle = TcHandle { major: u16::MAX, minor: 0 };
/// Where filters of received packets are.
const INGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_INGRESS };
/// Where filters of sent packets are.
const EGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_EGRESS };

/// What we have on an interface.
#[derive(Debug, Default)]
struct Joined {
    filters: Vec<(TcHandle, u16)>,
    made_qdisc: bool,
}

/// Our filters, and the socket that makes them: it stays in the namespace that it was opened in.
#[derive(Debug)]
pub(super) struct Clsact {
    connection: Connection,
    owner: Owner,
    joined: BTreeMap<u32, Joined>,
}

/// What became of an interface.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The programs are on it.
    Attached {
        /// Something that limits what is seen.
        notice: Option<String>,
    },
    /// It has no qdisc and none may be made yet.
    Postponed,
}

/// Somebody's filter.
#[derive(Debug)]
struct Filter {
    priority: u16,
    protocol: u16,
    handle: u32,
    kind: String,
    name: Option<String>,
}

impl Clsact {
    /// In the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        let owner = Owner::new().map_err(|source| NetlinkError::Socket {
            operation: "bind the socket that tells that we live".to_owned(),
            source,
        })?;
        Ok(Self { connection: Connection::open()?, owner, joined: BTreeMap::new() })
    }

    /// Removes what dead instances left behind.
    pub fn sweep(&mut self) -> Result<(), NetlinkError> {
        for (ifindex, kind) in self.qdiscs()? {
            let parents: &[TcHandle] = if kind == "clsact" { &[INGRESS, EGRESS] } else { &[INGRESS] };
            let mut made_qdisc = false;
            for &parent in parents {
                for filter in self.filters(ifindex, parent)? {
                    let Some(name) = filter.of_ours() else { continue };
                    if name.is_orphan() {
                        made_qdisc |= name.made_qdisc;
                        self.delete(ifindex, parent, filter.priority, filter.handle)?;
                    }
                }
            }
            if made_qdisc {
                self.remove_empty_qdisc(ifindex)?;
            }
        }
        Ok(())
    }

    /// Whether a living instance has a filter on an interface.
    pub fn has_ours(&mut self, ifindex: u32) -> bool {
        let filters = self.filters(ifindex, INGRESS).unwrap_or_default();
        filters.iter().filter_map(Filter::of_ours).any(|name| !name.is_orphan())
    }

    /// Puts a program on each direction of an interface.
    pub fn attach(
        &mut self,
        ifindex: u32,
        [ingress, egress]: [BorrowedFd<'_>; 2],
        may_make_qdisc: bool,
    ) -> Result<Outcome, NetlinkError> {
        let mut notices = Vec::new();
        let kind = match self.qdisc_kind(ifindex)? {
            Some(kind) => kind,
            None if !may_make_qdisc => return Ok(Outcome::Postponed),
            None => {
                let made = self.make_qdisc(ifindex)?;
                self.joined.entry(ifindex).or_default().made_qdisc = made;
                "clsact".to_owned()
            }
        };
        let result = self.add(ifindex, INGRESS, ingress, &mut notices).and_then(|()| {
            if kind == "clsact" {
                return self.add(ifindex, EGRESS, egress, &mut notices);
            }
            // Its egress handle would lead to the ingress filters (`ingress_tcf_block`).
            notices.push("sent packets are not seen: an ingress qdisc has the place of clsact".to_owned());
            Ok(())
        });
        if let Err(error) = result {
            // Half an interface would be taken for a quiet one.
            let _ = self.detach(ifindex);
            return Err(error);
        }
        let notice = (!notices.is_empty()).then(|| notices.join("; "));
        Ok(Outcome::Attached { notice })
    }

    /// Takes our programs off an interface; one that is gone took them with it.
    pub fn detach(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        let Some(joined) = self.joined.remove(&ifindex) else { return Ok(()) };
        for (parent, priority) in joined.filters {
            self.delete(ifindex, parent, priority, self.owner.handle())?;
        }
        if joined.made_qdisc {
            self.remove_empty_qdisc(ifindex)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        ifindex: u32,
        parent: TcHandle,
        program: BorrowedFd<'_>,
        notices: &mut Vec<String>,
    ) -> Result<(), NetlinkError> {
        let filters = self.filters(ifindex, parent)?;
        let joined = self.joined.entry(ifindex).or_default();
        // A qdisc that another instance made is removed by whoever of us leaves last.
        joined.made_qdisc |= filters.iter().filter_map(Filter::of_ours).any(|name| name.made_qdisc);
        let name = self.owner.filter_name(joined.made_qdisc);
        let is_taken = |priority: u16| {
            filters.iter().any(|filter| {
                filter.priority == priority
                    && (filter.kind != TcFilterBpf::KIND || filter.protocol != ALL_PROTOCOLS)
            })
        };
        let priority = (PRIORITY..u16::MAX).find(|&priority| !is_taken(priority)).unwrap_or(PRIORITY);
        if let Some(first) =
            filters.iter().find(|filter| filter.priority < priority && filter.of_ours().is_none())
        {
            let direction = if parent == INGRESS { "received" } else { "sent" };
            notices.push(format!(
                "{direction} packets pass a {} filter of priority {} before us, which may keep them",
                first.kind, first.priority
            ));
        }
        let mut message = filter_message(ifindex, parent, priority, self.owner.handle());
        message.attributes.push(TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().unsigned_abs())),
            TcOption::Bpf(TcFilterBpfOption::ProgName(name)),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]));
        self.connection.create(
            &format_args!("a filter on interface {ifindex}"),
            RouteNetlinkMessage::NewTrafficFilter(message),
        )?;
        self.joined.entry(ifindex).or_default().filters.push((parent, priority));
        Ok(())
    }

    fn delete(
        &mut self,
        ifindex: u32,
        parent: TcHandle,
        priority: u16,
        handle: u32,
    ) -> Result<(), NetlinkError> {
        let message = filter_message(ifindex, parent, priority, handle);
        unless_gone(self.connection.apply(
            &format_args!("a filter on interface {ifindex}"),
            RouteNetlinkMessage::DelTrafficFilter(message),
        ))
    }

    /// Makes a clsact qdisc; false if somebody was faster.
    fn make_qdisc(&mut self, ifindex: u32) -> Result<bool, NetlinkError> {
        let mut message = qdisc_message(ifindex);
        message.attributes.push(TcAttribute::Kind("clsact".to_owned()));
        let made = self.connection.create(
            &format_args!("a clsact qdisc on interface {ifindex}"),
            RouteNetlinkMessage::NewQueueDiscipline(message),
        );
        match made {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remove_empty_qdisc(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        for parent in [INGRESS, EGRESS] {
            // A filter that cannot be read is somebody's all the same.
            self.connection.take_undecodable();
            if !self.filters(ifindex, parent)?.is_empty() || self.connection.take_undecodable() > 0 {
                return Ok(());
            }
        }
        let message = qdisc_message(ifindex);
        unless_gone(self.connection.apply(
            &format_args!("the clsact qdisc of interface {ifindex}"),
            RouteNetlinkMessage::DelQueueDiscipline(message),
        ))
    }

    fn qdisc_kind(&mut self, ifindex: u32) -> Result<Option<String>, NetlinkError> {
        Ok(self.qdiscs()?.remove(&ifindex))
    }

    /// Kind of the qdisc at the place of clsact, by interface.
    fn qdiscs(&mut self) -> Result<BTreeMap<u32, String>, NetlinkError> {
        let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
        let answers = self.connection.dump(&"queueing disciplines", request)?;
        let kind = |message: TcMessage| {
            let index = u32::try_from(message.header.index).ok()?;
            (message.header.handle == QDISC_HANDLE && message.header.parent == TcHandle::CLSACT)
                .then_some(())?;
            Some((index, kind_of(&message)?.to_owned()))
        };
        let messages = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewQueueDiscipline(message) => kind(message),
            _ => None,
        });
        Ok(messages.collect())
    }

    fn filters(&mut self, ifindex: u32, parent: TcHandle) -> Result<Vec<Filter>, NetlinkError> {
        let mut request = TcMessage::default();
        request.header = header(ifindex, parent, TcHandle::UNSPEC);
        let object = format_args!("filters of interface {ifindex}").to_string();
        let answers = self.connection.dump(&object, RouteNetlinkMessage::GetTrafficFilter(request));
        let answers = match answers {
            Err(error) if is_gone(&error) => Vec::new(),
            answers => answers?,
        };
        let filters = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewTrafficFilter(message) => Some(Filter::of(&message)),
            _ => None,
        });
        // Each priority is listed as such, and then its filters.
        Ok(filters.filter(|filter| filter.handle != 0).collect())
    }
}

impl Filter {
    /// Its name, if an instance of ours made it.
    fn of_ours(&self) -> Option<FilterName<'_>> {
        self.name.as_deref().and_then(FilterName::parse)
    }

    fn of(message: &TcMessage) -> Self {
        let name = message.attributes.iter().find_map(|attribute| match attribute {
            TcAttribute::Options(options) => options.iter().find_map(|option| match option {
                TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name.clone()),
                _ => None,
            }),
            _ => None,
        });
        Self {
            priority: (message.header.info >> 16) as u16,
            protocol: message.header.info as u16,
            handle: message.header.handle.into(),
            kind: kind_of(message).unwrap_or_default().to_owned(),
            name,
        }
    }
}

fn kind_of(message: &TcMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(kind.as_str()),
        _ => None,
    })
}

fn header(ifindex: u32, parent: TcHandle, handle: TcHandle) -> TcHeader {
    TcHeader { index: ifindex.cast_signed(), parent, handle, ..TcHeader::default() }
}

fn qdisc_message(ifindex: u32) -> TcMessage {
    let mut message = TcMessage::default();
    message.header = header(ifindex, TcHandle::CLSACT, QDISC_HANDLE);
    message
}

fn filter_message(ifindex: u32, parent: TcHandle, priority: u16, handle: u32) -> TcMessage {
    let mut message = TcMessage::default();
    message.header = header(ifindex, parent, handle.into());
    message.header.info = u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS);
    message.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
    message
}

/// The interface or the object is gone, which is what was wanted.
fn is_gone(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(libc::ENODEV | libc::ENOENT | libc::EINVAL))
}

fn unless_gone(result: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}
