use super::fixtures::*;
use crate::ports::Stores;

pub(super) async fn the_trusted_time_is_the_one_that_was_stored_last(stores: Stores) {
    assert_eq!(must(stores.time.trusted_time().await), None);
    for now in [moment(5), moment(7), moment(6)] {
        must(stores.time.set_trusted_time(now).await);
        assert_eq!(must(stores.time.trusted_time().await), Some(now));
    }
}
