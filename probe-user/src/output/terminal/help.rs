//! The keys, for `?`.

/// A key and what it does.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("1 2 3 4 5", "findings, interfaces, flows, ICMP errors, packet sizes"),
    ("Tab ← →", "next or previous of these"),
    ("↑ ↓ j k", "select a row; Home and End: first and last"),
    ("Enter", "details of the row on the whole screen, and back"),
    ("PgUp PgDn", "more of the details"),
    ("h", "packet sizes of the selected row's pod"),
    ("/", "only rows with these words: severity, pod, interface, address"),
    ("Esc", "remove the filter"),
    ("s", "sort by the next column"),
    ("p Space", "pause: the picture stands, the observation goes on"),
    ("e", "export the selected row as JSON Lines into this directory"),
    ("Ctrl-L", "draw the screen anew; Ctrl-Z: back to the shell until fg"),
    ("q Ctrl-C", "end: programs are taken off, the findings are printed"),
];

/// What the words of the screen mean.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("critical", "traffic is lost and the sender cannot learn why"),
    ("warning", "loss that recovers or was told to the sender, fragmentation"),
    ("partial, blind", "packets of a pod pass unseen: silence proves nothing there"),
    ("lost", "evidence that did not reach us: counts are too low"),
    ("LIMIT", "largest packet in bytes (layer 3) that passes whole"),
];
