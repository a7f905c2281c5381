use reqwest::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY};

use crate::support::Server;

#[tokio::test]
async fn documents_are_compressed_and_cached_by_clients() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/docs", "/openapi.yaml", "/openapi.json"] {
        let url = format!("{}{path}", server.url);
        let plain = client.get(&url).send().await.unwrap();
        assert_eq!(plain.status(), 200);
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        let plain = plain.bytes().await.unwrap();

        let compressed = client.get(&url).header(ACCEPT_ENCODING, "gzip, br").send().await.unwrap();
        assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(compressed.headers()[VARY], "accept-encoding");
        assert!(compressed.headers()[CACHE_CONTROL].to_str().unwrap().contains("max-age="));
        let etag = compressed.headers()[ETAG].clone();
        assert!(compressed.bytes().await.unwrap().len() < plain.len() / 2, "{path}");

        let request = client.get(&url).header(ACCEPT_ENCODING, "gzip").header(IF_NONE_MATCH, etag.clone());
        let again = request.send().await.unwrap();
        assert_eq!((again.status().as_u16(), &again.headers()[ETAG]), (304, &etag));
        assert_eq!(again.bytes().await.unwrap(), "");
    }
}
