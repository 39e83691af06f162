use super::*;

/// Builds type information by hand.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Builder {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, kind: u32, flag: bool, name: &str, size_or_type: u32, members: &[[u32; 3]]) -> u32 {
        let name = self.name(name);
        let info = kind << 24 | u32::from(flag) << 31 | members.len() as u32;
        for value in [name, info, size_or_type].into_iter().chain(members.iter().flatten().copied()) {
            self.types.extend(value.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        for value in [24, 0, self.types.len() as u32, self.types.len() as u32, self.strings.len() as u32] {
            bytes.extend(u32::to_ne_bytes(value));
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    let number = {
        let name = builder.name("int");
        for value in [name, kind::INT << 24, 4, 32] {
            builder.types.extend(u32::to_ne_bytes(value));
        }
        builder.count += 1;
        builder.count
    };
    let [a, b, c, flags] = ["a", "b", "c", "flags"].map(|name| builder.name(name));
    let inner = builder.add(kind::STRUCT, false, "", 8, &[[a, number, 0], [b, number, 32]]);
    let named = builder.add(kind::STRUCT, false, "named", 8, &[[0, inner, 0]]);
    let alias = builder.add(kind::TYPEDEF, false, "alias", named, &[]);
    let alias = builder.add(kind::CONST, false, "", alias, &[]);
    builder.add(
        kind::STRUCT,
        true,
        "outer",
        64,
        &[[flags, number, 3 << 24 | 5], [0, inner, 128], [c, alias, 256]],
    );
    let [one, two] = ["REASON_ONE", "REASON_TWO"].map(|name| builder.name(name));
    let name = builder.name("reason");
    for value in [name, kind::ENUM << 24 | 2, 4, one, 7, two, 9] {
        builder.types.extend(u32::to_ne_bytes(value));
    }
    builder.finish()
}

#[test]
fn members_are_found_through_anonymous_and_named_ones() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.member_offset("outer", "b"), Some(20));
    assert_eq!(btf.member_offset("outer", "c"), Some(32));
    assert_eq!(btf.member_offset("outer", "c.b"), Some(36));
    assert_eq!(btf.member_offset("outer", "c.none"), None);
    assert_eq!(btf.member_offset("outer", "flags"), None, "a bit field has no address");
    assert_eq!(btf.member_offset("absent", "a"), None);
    assert_eq!(btf.size_of("outer"), Some(64));
    assert_eq!((btf.typedef("alias"), btf.typedef("outer")), (Some(4), None));
    assert_eq!(
        btf.enumeration("reason"),
        Some(vec![("REASON_ONE".to_owned(), 7), ("REASON_TWO".to_owned(), 9)])
    );
}

#[test]
fn circles_end() {
    let mut builder = Builder::new();
    let a = builder.name("a");
    // A typedef of itself, and a structure whose anonymous members are itself, twice.
    builder.add(kind::TYPEDEF, false, "own", 1, &[]);
    builder.add(kind::STRUCT, false, "circle", 8, &[[0, 2, 0], [0, 2, 0], [a, 1, 0]]);
    let btf = Btf::parse(builder.finish()).unwrap();
    assert_eq!(btf.member_offset("circle", "none"), None);
    assert_eq!(btf.member_offset("circle", "a.b"), None);
}

#[test]
fn hostile_bytes_are_an_error_or_no_answer() {
    let good = sample();
    for length in 0..good.len() {
        let _ = Btf::parse(good[..length].to_vec());
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = (btf.member_offset("outer", "c.b"), btf.enumeration("reason"), btf.size_of("outer"));
            }
        }
    }
    assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::Malformed(_))));
}

#[test]
fn the_running_kernel_answers() {
    let btf = Btf::of_kernel().unwrap();
    assert!(btf.member_offset("sk_buff", "dev").is_some());
    assert!(btf.member_offset("sock", "__sk_common.skc_net.net").is_some());
    let reasons = btf.enumeration("skb_drop_reason").unwrap();
    assert!(reasons.iter().any(|(name, _)| name == "SKB_DROP_REASON_PKT_TOO_BIG"));
    let missing: Vec<_> = probe_common::kernel_field::FIELDS
        .iter()
        .filter(|field| btf.member_offset(field.structure, field.path).is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
