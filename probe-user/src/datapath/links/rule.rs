//! Rules of policy routing.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums grow with the kernel; what is not asked for is skipped"
)]
use super::connection::{Connection, NetlinkError};
use super::family_number;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use probe_core::model::flow::Family;
use probe_core::model::rule::Rule;

/// The rules of one family that lead to tables.
pub fn rules(connection: &mut Connection, family: Family) -> Result<Vec<Rule>, NetlinkError> {
    let mut request = RuleMessage::default();
    request.header.family = family_number(family);
    let object = format!("{} rules", family.name());
    let answer = connection.dump(&object, RouteNetlinkMessage::GetRule(request))?;
    Ok(answer.into_iter().filter_map(|message| read(family, message)).collect())
}

fn read(family: Family, message: RouteNetlinkMessage) -> Option<Rule> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let header = &message.header;
    if header.action != RuleAction::ToTable {
        return None;
    }
    let mut rule = Rule {
        family,
        priority: 0,
        table: Some(u32::from(header.table)).filter(|&table| table != 0),
        from: None,
        came_by: None,
        to: None,
        is_special: header.tos != 0 || header.flags.contains(RuleFlags::Invert),
        suppressed: None,
    };
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = priority,
            // The header has room for 8 bits only.
            RuleAttribute::Table(table) => rule.table = Some(table).filter(|&table| table != 0),
            RuleAttribute::L3MDev(true) => rule.table = None,
            RuleAttribute::Source(address) => rule.from = Some((address, header.src_len)),
            RuleAttribute::Destination(address) => rule.to = Some((address, header.dst_len)),
            RuleAttribute::Iifname(name) => rule.came_by = Some(name),
            RuleAttribute::SuppressPrefixLen(length) => rule.suppressed = u8::try_from(length).ok(),
            RuleAttribute::FwMark(_)
            | RuleAttribute::Oifname(_)
            | RuleAttribute::TunId(_)
            | RuleAttribute::UidRange(_)
            | RuleAttribute::IpProtocol(_)
            | RuleAttribute::SourcePortRange(_)
            | RuleAttribute::DestinationPortRange(_) => rule.is_special = true,
            _ => {}
        }
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::rule::RuleHeader;

    fn message(attributes: Vec<RuleAttribute>) -> RouteNetlinkMessage {
        let mut message = RuleMessage::default();
        message.header =
            RuleHeader { src_len: 16, table: 254, action: RuleAction::ToTable, ..RuleHeader::default() };
        message.attributes = attributes;
        RouteNetlinkMessage::NewRule(message)
    }

    #[test]
    fn a_rule_is_read_with_its_conditions() {
        let source = "10.1.0.0".parse().unwrap();
        let attributes =
            vec![RuleAttribute::Priority(100), RuleAttribute::Table(1000), RuleAttribute::Source(source)];
        let rule = read(Family::Ipv4, message(attributes)).unwrap();
        assert_eq!((rule.priority, rule.table, rule.from), (100, Some(1000), Some((source, 16))));
        assert!(!rule.is_special);
        assert!(read(Family::Ipv4, message(vec![RuleAttribute::FwMark(1)])).unwrap().is_special);
    }

    #[test]
    fn the_rule_of_vrfs_names_no_table() {
        // The kernel says 0 there, and in the header `RT_TABLE_UNSPEC`.
        let rule = read(Family::Ipv4, message(vec![RuleAttribute::L3MDev(true)])).unwrap();
        assert_eq!(rule.table, None);
    }
}
