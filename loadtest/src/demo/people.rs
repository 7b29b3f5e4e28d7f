//! What people would have done by now, so that the console has something to show.

use super::scrape::Demo;

/// Two people correct some tags, and do not agree about all of them; and somebody publishes what is no event.
pub async fn correct(demo: &Demo) -> anyhow::Result<()> {
    // Of the dealer's newest scrape: ann says of every seventh picture of her dealer that it is a stock
    // picture, ben of some of the same that they are not, for the neighbour; and one holds for everyone.
    const FIXES: &str = "
        WITH listed AS (
            SELECT s.advertiser_id, i.seq, i.image_id FROM scrape_images i JOIN scrapes s ON s.key = i.scrape
             WHERE i.outcome <> 'skipped' AND s.superseded_by IS NULL)
        INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by, note)
        SELECT DISTINCT ON (1, 2, 3) * FROM (
            SELECT image_id, advertiser_id, 'image_type', 'Stock', 'ann@dealer.example', 'the manufacturer''s picture'
              FROM listed WHERE advertiser_id = 'demo-dealer' AND seq % 7 = 0
             UNION ALL
            SELECT image_id, advertiser_id, 'image_type', 'Dealer', 'ben@neighbour.example', 'we took it ourselves'
              FROM listed WHERE advertiser_id = 'demo-neighbour' AND seq % 7 = 0
             UNION ALL
            (SELECT image_id, '', 'color', 'black', 'ann@dealer.example', NULL
               FROM listed WHERE advertiser_id = 'demo-dealer' AND seq % 5 = 1 ORDER BY seq LIMIT 10)
        ) AS fix (image_id, advertiser_id, attribute, value, fixed_by, note)
        ON CONFLICT DO NOTHING";
    demo.client.batch_execute(FIXES).await?;
    demo.client.batch_execute("SELECT apply_fixes_to(array_agg(DISTINCT image_id)) FROM fixes").await?;
    demo.publish_nonsense().await
}
