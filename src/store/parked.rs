//! How many orders wait for a person, by the index that has these alone.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::{Item, Store, StoreError, failed, timeouts};
use crate::budget::Patience;
use crate::record::Status;

/// The index, of keys only. A record is in it while it has [`PARKED_FROM_ATTRIBUTE`], which is while it is parked.
pub const PARKED_INDEX: &str = "parked";
/// The index's key.
pub const PARKED_FROM_ATTRIBUTE: &str = "parked_from";

impl Store {
    /// How many orders are parked. The index follows the table, mostly within a second.
    ///
    /// # Errors
    /// [`StoreError`] if the table gave no answer, or has no such index.
    pub async fn count_parked(&self, patience: Patience) -> Result<u64, StoreError> {
        let mut parked = 0;
        for from in [Status::InProgress, Status::Compensating] {
            let mut start = None;
            loop {
                let (count, last) = self.page_of_parked(from, start, patience).await?;
                parked += count;
                start = last;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(parked)
    }

    /// The items of one page, and where the next one starts, if there is one.
    async fn page_of_parked(
        &self,
        from: Status,
        start: Option<Item>,
        patience: Patience,
    ) -> Result<(u64, Option<Item>), StoreError> {
        let query = self.client.query().table_name(&self.table).index_name(PARKED_INDEX);
        let query = query.select(Select::Count).set_exclusive_start_key(start);
        let query = query.key_condition_expression("#from = :from");
        let query = query.expression_attribute_names("#from", PARKED_FROM_ATTRIBUTE);
        let query = query.expression_attribute_values(":from", AttributeValue::S(from.as_str().to_owned()));
        let answer = query.customize().config_override(timeouts(patience)).send().await;
        let answer = answer.map_err(|error| failed(&error))?;
        let last = answer.last_evaluated_key.filter(|key| !HashMap::is_empty(key));
        Ok((u64::try_from(answer.count).unwrap_or(0), last))
    }
}
