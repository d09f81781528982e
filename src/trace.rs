//! The X-Ray trace that a message belongs to: taken over from the event into the logs and into what is sent on.

use std::fmt;

/// The trace header of a message, as far as AWS documents it: root, parent and sampling decision. Anything else in it
/// is dropped, because producers write it, and it goes into the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader {
    root: String,
    parent: Option<String>,
    sampled: Option<bool>,
}

impl TraceHeader {
    /// Reads `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0|1>`; `None` without a root of that shape.
    pub fn parse(header: &str) -> Option<Self> {
        let part = |name: &str| {
            header
                .split(';')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::trim)
        };
        let root = part("Root").filter(|root| is_trace_id(root))?;
        Some(TraceHeader {
            root: root.to_owned(),
            parent: part("Parent").filter(|id| is_hex(id, 16)).map(str::to_owned),
            sampled: part("Sampled").and_then(|sampled| match sampled {
                "0" => Some(false),
                "1" => Some(true),
                _ => None,
            }),
        })
    }

    /// The ID by which X-Ray finds the trace.
    pub fn trace_id(&self) -> &str {
        &self.root
    }
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root={}", self.root)?;
        if let Some(parent) = &self.parent {
            write!(f, ";Parent={parent}")?;
        }
        match self.sampled {
            Some(sampled) => write!(f, ";Sampled={}", u8::from(sampled)),
            None => Ok(()),
        }
    }
}

/// Version, epoch seconds, 96 bits of chance.
fn is_trace_id(id: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    matches!(parts[..], ["1", seconds, chance] if is_hex(seconds, 8) && is_hex(chance, 24))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    #[test]
    fn a_header_is_taken_over_as_it_came() {
        for header in [
            ROOT.to_owned(),
            format!("{ROOT};Sampled=1"),
            format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=0"),
        ] {
            let read = TraceHeader::parse(&header).unwrap();
            assert_eq!(read.to_string(), header);
            assert_eq!(read.trace_id(), "1-5759e988-bd862e3fe1be46a994272793");
        }
    }

    #[test]
    fn what_is_not_of_the_documented_shape_is_dropped() {
        let header = format!("Self=x; Sampled=? ;Parent=53995c3f42cd8ad;{ROOT};Lineage=me@example.com");
        assert_eq!(TraceHeader::parse(&header).unwrap().to_string(), ROOT);
        for header in [
            "",
            "Parent=53995c3f42cd8ad8",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e98-bd862e3fe1be46a994272793",
            "Root=1-5759e9888-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279",
            "Root=1-5759e988-bd862e3fe1be46a9942727933",
            "Root=1-5759e988-bd862e3fe1be46a99427279g",
            "Root=1-5759e988-bd862e3fe1be46a994272793-",
        ] {
            assert_eq!(TraceHeader::parse(header), None, "{header}");
        }
    }
}
