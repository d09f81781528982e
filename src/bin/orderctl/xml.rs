//! The answers of AWS's Query protocol.

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_smithy_xml::decode::{Document, try_data};

use crate::failure;
use crate::signed::{self, Question};

/// The answer to `question`, if it is a good one.
pub async fn answer(sdk: &SdkConfig, question: Question<'_>) -> Result<String> {
    let (right, doing) = (question.right, format!("asking {} for {}", question.service, question.right));
    let (status, answer) = signed::ask(sdk, question).await?;
    let answer = String::from_utf8(answer).with_context(|| format!("{doing}: the answer is no text"))?;
    if status == 200 {
        return Ok(answer);
    }
    let told = texts(&answer, &["Code", "Message"]).unwrap_or_default();
    let text = |wanted: &str| told.iter().find(|(name, _)| name == wanted).map_or("", |(_, text)| text);
    Err(failure::refused(doing, status, text("Code"), text("Message"), right))
}

/// The texts of the elements with one of these names, in their order. Such an element holds nothing but text.
pub fn texts(answer: &str, names: &[&str]) -> Result<Vec<(String, String)>> {
    let (mut document, mut found) = (Document::new(answer), Vec::new());
    while let Some(element) = document.next_start_element() {
        let name = element.local().to_owned();
        if names.contains(&name.as_str()) {
            let text = try_data(&mut document.scoped_to(element))?.into_owned();
            found.push((name, text));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_at_any_depth_and_in_their_order() {
        let answer = "<R xmlns=\"x\"><A>1</A><B><C>2 &amp; 3</C><A/></B></R>";
        let expected = [("A", "1"), ("C", "2 & 3"), ("A", "")];
        let found = texts(answer, &["A", "C"]).unwrap();
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert!(texts("<R><A><B/></A></R>", &["A"]).is_err());
    }
}
