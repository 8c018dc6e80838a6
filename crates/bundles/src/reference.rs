//! Spellings of "which bundle, which version, which flow".

/// `bundle` or `bundle@version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleRef<'a> {
    /// The part before the first `@`.
    pub bundle_id: &'a str,
    /// The part after it, when not empty.
    pub version: Option<&'a str>,
}

impl<'a> BundleRef<'a> {
    /// Splits at the first `@`; blanks around the parts do not count.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        match text.trim().split_once('@') {
            None => Self {
                bundle_id: text.trim(),
                version: None,
            },
            Some((id, version)) => Self {
                bundle_id: id.trim(),
                version: filled(version),
            },
        }
    }
}

/// `bundle[@version]:flow`, the form in which runs store their workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkflowRef<'a> {
    /// What stands before the first `:`.
    pub bundle: BundleRef<'a>,
    /// What stands after it; may be empty and may contain further colons.
    pub flow_id: &'a str,
}

impl<'a> WorkflowRef<'a> {
    /// `None` when there is no `:` or nothing before it.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (bundle, flow_id) = text.trim().split_once(':')?;
        let bundle = BundleRef::parse(bundle);
        (!bundle.bundle_id.is_empty()).then_some(Self {
            bundle,
            flow_id: flow_id.trim(),
        })
    }
}

/// `None` for a blank text; clients send empty strings for "not given".
#[must_use]
pub fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_split() {
        let bundle = |bundle_id, version| BundleRef { bundle_id, version };
        assert_eq!(BundleRef::parse(" b "), bundle("b", None));
        assert_eq!(BundleRef::parse("b@1.0"), bundle("b", Some("1.0")));
        assert_eq!(BundleRef::parse("b@"), bundle("b", None));
        assert_eq!(BundleRef::parse("b@1@2"), bundle("b", Some("1@2")));
        let table = [
            ("b", None),
            (":f", None),
            ("@1:f", None),
            ("b:f", Some((bundle("b", None), "f"))),
            ("b@1:f:g", Some((bundle("b", Some("1")), "f:g"))),
            ("b: ", Some((bundle("b", None), ""))),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(bundle, flow_id)| WorkflowRef { bundle, flow_id });
            assert_eq!(WorkflowRef::parse(text), expected, "{text}");
        }
    }
}
