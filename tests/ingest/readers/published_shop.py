"""Files as shops, reviews and ads are published: a few rows of each layout, written by hand."""

# ruff: noqa: E501 - lines are as wide as they are published

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl


def text_file(name: str, text: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return [file]

    return write


def json_lines(name: str, *objects: dict) -> Callable[[Path], list[Path]]:
    return text_file(name, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects))


REVIEW_2014 = {
    "reviewerID": "A2SUAM1J3GNN3B", "asin": "0000013714", "reviewerName": "J. McDonald", "helpful": [2, 3],
    "reviewText": "I bought this for my husband.", "overall": 5.0, "summary": "Heavenly Highway Hymns",
    "unixReviewTime": 1252800000, "reviewTime": "09 13, 2009",
}  # fmt: skip
REVIEW_2018 = {
    "overall": 5.0, "vote": "1,234", "verified": True, "reviewTime": "01 1, 2018", "reviewerID": "AUI6WTTT0QZYS",
    "asin": "5120053084", "style": {"Size:": "Large", "Color:": " Charcoal"}, "reviewerName": "Abbey",
    "reviewText": "I now have 4 of the 5 available colors", "summary": "Comfy", "unixReviewTime": 1514764800,
    "image": ["https://images.example/71eG75FTJJL._SY88.jpg"],
}  # fmt: skip
REVIEW_2023 = {
    "rating": 4.0, "title": "Such a lovely scent", "text": "This spray is really nice.", "images": [],
    "asin": "B00YQ6X8EO", "parent_asin": "B00YQ6X8EP", "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
    "timestamp": 1588687728923, "helpful_vote": 7, "verified_purchase": True,
}  # fmt: skip
META_2023 = {
    "main_category": "All Beauty", "title": "Howard LC0008 Leather Conditioner", "average_rating": 4.8,
    "rating_number": 10, "features": ["8-ounce", "UV inhibitors"], "description": ["Long text"], "price": 14.99,
    "images": [{"thumb": "t.jpg", "variant": "MAIN"}], "videos": [], "store": "Howard Products",
    "categories": ["Beauty"], "details": {"Brand": "Howard"}, "parent_asin": "B01CUPMQZE",
    "bought_together": None,
}  # fmt: skip
META_2018 = {
    "category": ["Clothing", "Dresses"], "description": ["A dress."], "title": "Lace dress", "brand": "Lark",
    "feature": ["Cotton", "Knee length"], "rank": "19,963,069 in Clothing", "main_cat": "Fashion",
    "price": "$12.99 - $1,034.50", "asin": "0000037214", "also_buy": ["B0058RP6C6"],
}  # fmt: skip

WOMENS = """,Clothing ID,Age,Title,Review Text,Rating,Recommended IND,Positive Feedback Count,Division Name,Department Name,Class Name
0,767,33,,Absolutely wonderful - silky and sexy,4,1,0,Initmates,Intimate,Intimates
1,1080,34,"My ""favourite""
buy","Love this dress!  it's sooo pretty, really.",5,1,4,General,Dresses,Dresses
"""
DATAFINITI = """id,dateAdded,asins,brand,categories,primaryCategories,name,reviews.date,reviews.didPurchase,reviews.doRecommend,reviews.id,reviews.numHelpful,reviews.rating,reviews.text,reviews.title,reviews.userCity,reviews.username
AVqkIhwDv8e3D1O-lebb,2015-10-30T08:59:32Z,B01AHB9CN2,Amazon,"Electronics,Tablets",Electronics,All-New Fire HD 8,2017-01-13T00:00:00.000Z,,true,,3,5,"Very good, for my wife",Kindle,,Adapter
AVqkIhwDv8e3D1O-lebb,2015-10-30T08:59:32Z,B01AHB9CN2,Amazon,"Electronics,Tablets",Electronics,All-New Fire HD 8,2017-01-12T00:00:00.000Z,,false,,0,2,Slow,Not for me,Berlin,truman
"""
CHINESE = 'cat,label,review\n书籍,1,做父母一定要有这样的心态，不断地学习\n平板,0,"屏幕太暗, 不好"\n'

BANDIT_HEAD = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3,"
BANDIT = (
    BANDIT_HEAD + "user-item_affinity_0,user-item_affinity_1,user-item_affinity_2\n"
    "0,2019-11-24 00:00:17.004101+00:00,2,1,0,0.029411764705882353,4ae385d792f81dde,4e7a8c,0c6a,9b2d,0.0,1.0,4.0\n"
    "1,2019-11-24 00:00:19.715857+00:00,0,3,1,0.029411764705882353,4ae385d792f81dde,4e7a8c,0c6a,9b2d,2.0,0.0,0.0\n"
)
BANDIT_ITEMS = (
    ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3\n"
    "0,0,-0.6771831139,ceca2003,eb6f942c,79509155\n1,1,-0.7203,270de572,eb6f942c,79509155\n"
)
AVAZU_HEAD = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,"
    "device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21\n"
)
AVAZU = AVAZU_HEAD + (
    "1000009418151094273,0,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,"
    "ddd2926e,44956a24,1,2,15706,320,50,1722,0,35,-1,79\n"
    "10000169349117863715,1,14103023,1005,1,85f751fd,c4e18dd6,50e219e0,e2fcccd2,5c5a694b,0f2161f8,0f7c61dc,"
    "96809ac8,711ee120,1,0,15704,320,50,1722,0,35,100084,79\n"
)
CRITEO = "".join(
    "\t".join([label, *ints, *(f"{i:08x}" if i != 5 else "" for i in range(26))]) + "\n"
    for label, ints in (
        ("0", ["1", "1", "5", "0", "1382", "4", "15", "2", "181", "1", "2", "", "2"]),
        ("1", ["", "-1", "", "0", "767", "89", "4", "2", "245", "", "3", "3", "45"]),
    )
)
UPLIFT = (
    ",".join([*(f"f{i}" for i in range(12)), "treatment", "conversion", "visit", "exposure"]) + "\n"
    + ",".join(["12.616365", *["0.5"] * 11, "1", "0", "0", "0"]) + "\n"
    + ",".join(["13.1", *["-1.25"] * 11, "0", "1", "1", "1"]) + "\n"
)  # fmt: skip
ROCKET = (
    "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
    "1433224214164,992329,addtocart,248676,\n1433222276276,599528,transaction,356475,4000\n"
)
ROCKET_ITEMS = (
    "timestamp,itemid,property,value\n1435460400000,460429,categoryid,1338\n"
    "1433041200000,206783,888,1116713 960601 n277.200\n1439089200000,460429,categoryid,1173\n"
    "1433041200000,460429,790,n26999.880\n1435460400000,206783,available,1\n"
)
REES46 = (
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde\n"
    "2019-10-01 00:00:04 UTC,cart,1004237,2053013555631882655,electronics.smartphone,apple,1081.98,535871217,c6bd\n"
    "2019-10-01 00:00:09 UTC,remove_from_cart,1004237,2053013555631882655,electronics.smartphone,apple,1081.98,535871217,c6bd\n"
    "2019-10-01 00:01:09 UTC,purchase,1004237,2053013555631882655,electronics.smartphone,apple,1000.50,535871217,c6bd\n"
)
OTTO = (
    {"session": 0, "events": [{"aid": 1517085, "ts": 1659304800025, "type": "clicks"},
                              {"aid": 1563459, "ts": 1659304904511, "type": "carts"}]},
    {"session": 1, "events": [{"aid": 424964, "ts": 1659304800, "type": "orders"}]},
)  # fmt: skip
GAMES = (
    {"user_id": 0, "item_id": 5, "split": "train", "pos_in_split": 0, "position": 0},
    {"user_id": 0, "item_id": 7, "split": "test", "pos_in_split": 0, "position": 1},
)
GAME_ITEMS = (
    {
        "item_id": 5,
        "asin": "B00004DSDE",
        "title": "X: Beyond the Frontier - PC",
        "categories": "Video Games > PC",
    },
    {"item_id": 7, "asin": "0700026657", "title": "Anno 2070", "categories": "Video Games > PC"},
)


def parquet(name: str, *rows: dict) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        pl.DataFrame(rows).write_parquet(folder / name)
        return [folder / name]

    return write


U_ITEM = (
    "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)"
    "|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|GoldenEye (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?GoldenEye%20(1995)"
    "|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0\n"
)

ALGOLIA = (
    {"eventType": "click", "eventName": "Product Clicked", "index": "products", "userToken": "anon-1",
     "authenticatedUserToken": "user-1", "queryID": "43b15df305339e827f0ac0bdc5ebcaa7", "objectIDs": ["9780545139700"],
     "positions": [7], "timestamp": 1700000000123},
    {"eventType": "view", "eventName": "Shown", "index": "products", "userToken": "anon-1", "filters": None,
     "objectIDs": ["a", "b"], "timestamp": 1700000001123},
    {"eventType": "conversion", "eventSubtype": "purchase", "eventName": "Bought", "index": "products",
     "userToken": "anon-1", "objectIDs": ["b", "c"], "objectData": [{"price": 10.5, "queryID": "43b1"}, {"price": "3"}],
     "value": 24, "currency": "EUR", "timestamp": 1700000002123},
    {"eventType": "click", "eventName": "Filter", "index": "products", "userToken": "anon-1",
     "filters": ["brand:apple"], "timestamp": 1700000003123},
)  # fmt: skip


def _track(number: int, event: str, **properties) -> dict:
    return {
        "type": "track", "event": event, "messageId": f"m{number}", "anonymousId": "anon-1", "userId": None,
        "timestamp": f"2024-03-01T10:00:{number:02d}.000Z", "context": {"locale": "en-GB"},
        "properties": properties,
    }  # fmt: skip


SEGMENT = (
    _track(1, "Products Searched", query="red shoes"),
    _track(2, "Product List Viewed", list_id="hot", category="Shoes", products=[
        {"product_id": "p1", "name": "Runner", "brand": "Lark", "price": 19, "position": 1, "category": "Shoes"},
        {"product_id": "p2", "name": "Boot", "price": 29.5},
    ]),
    _track(3, "Product Clicked", product_id="p2", name="Boot", price=29.5, position=2),
    _track(4, "Product Added", product_id="p2", name="Boot", price=29.5, quantity=1),
    _track(5, "Order Completed", order_id="o1", products=[{"product_id": "p2", "price": 29.5, "quantity": 2}]),
    _track(6, "Product Reviewed", product_id="p2", review_id="r1", review_body="Good boots", rating="4"),
    _track(7, "Signed Up"),
)  # fmt: skip


def _ga4(name: str, items: list[dict], **params) -> dict:
    kinds = {str: "string_value", int: "int_value"}
    return {
        "event_date": "20240301", "event_timestamp": "1709287200123456", "event_name": name,
        "event_params": [{"key": k, "value": {kinds[type(v)]: str(v)}} for k, v in params.items()],
        "user_pseudo_id": "1234.5678", "device": {"category": "mobile", "language": "en-us"}, "items": items,
        "ecommerce": {"transaction_id": "T1" if name == "purchase" else "(not set)"},
    }  # fmt: skip


GA4_ITEM = {
    "item_id": "SKU1", "item_name": "Mug", "item_brand": "(not set)", "item_category": "Kitchen", "price": 9.5,
    "quantity": "2", "item_list_name": "Search Results", "item_list_index": "(not set)",
}  # fmt: skip
GA4 = (
    _ga4("view_search_results", [], search_term="mug", ga_session_id=77),
    _ga4(
        "view_item_list", [GA4_ITEM, GA4_ITEM | {"item_id": "SKU2", "item_list_index": "4"}], ga_session_id=77
    ),
    _ga4("select_item", [GA4_ITEM], ga_session_id=77),
    _ga4("purchase", [GA4_ITEM], ga_session_id=77),
    _ga4("purchase", [], ga_session_id=78),
    _ga4("session_start", [], ga_session_id=77),
)

RETAIL = (
    {"eventType": "search", "visitorId": "v1", "eventTime": "2024-03-01T10:00:00.25Z", "searchQuery": "mug",
     "attributionToken": "tok", "productDetails": [{"product": {"id": "p1"}}, {"product": {"id": "p2"}}]},
    {"eventType": "detail-page-view", "visitorId": "v1", "eventTime": "2024-03-01T10:01:00Z",
     "attributionToken": "tok", "productDetails": [{"product": {"id": "p2"}}]},
    {"eventType": "purchase-complete", "visitorId": "v1", "eventTime": "2024-03-01T10:02:00Z",
     "productDetails": [{"product": {"id": "p2", "priceInfo": {"price": 4.5}}, "quantity": 3}],
     "purchaseTransaction": {"id": "t1", "revenue": 13.5, "currencyCode": "USD"}, "userInfo": {"userId": "u1"}},
    {"eventType": "home-page-view", "visitorId": "v1", "eventTime": "2024-03-01T10:03:00Z"},
)  # fmt: skip
PERSONALIZE = (
    "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,IMPRESSION,RECOMMENDATION_ID\n"
    "u1,b,1586731606,Click,,a|b|c,R-1\nu1,b,1586735164,Purchase,12.5,,R-1\nu2,c,1586735158,Share,,,\n"
)

FILES: dict[str, Callable[[Path], list[Path]]] = {
    "amazon_reviews": json_lines(
        "reviews_Musical_Instruments_5.json", REVIEW_2014, REVIEW_2014 | {"overall": 1.0}
    ),
    "amazon_reviews/2018": json_lines("AMAZON_FASHION_5.json.gz", REVIEW_2018, REVIEW_2018 | {"vote": None}),
    "amazon_reviews/2023": json_lines("All_Beauty.jsonl", REVIEW_2023, REVIEW_2023 | {"rating": 2.0}),
    "amazon_ratings": text_file(
        "All_Beauty.csv",
        "user_id,parent_asin,rating,timestamp\nAFKZENT,B0719KWG8H,5.0,1588687728923\nAGKHLEW,B07NPWK167,2.0,1523093714024\n",
    ),
    "amazon_meta": json_lines("meta_All_Beauty.jsonl", META_2023, META_2023 | {"parent_asin": "B076WQZGPM"}),
    "amazon_meta/2018": json_lines("meta_AMAZON_FASHION.json.gz", META_2018, META_2018 | {"asin": "000022"}),
    "reviews": text_file("Womens Clothing E-Commerce Reviews.csv", WOMENS),
    "reviews/datafiniti": text_file("1429_1.csv", DATAFINITI),
    "reviews/chinese": text_file("online_shopping_10_cats.csv", CHINESE),
    "reviews/chinese_two": text_file(
        "ChnSentiCorp_htl_all.csv", "label,review\n1,距离川沙公路较近\n0,房间太小\n"
    ),
    "movielens_ratings": text_file("ml-100k/u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n"),
    "movielens_ratings/1m": text_file("ml-1m/ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n"),
    "movielens_ratings/20m": text_file(
        "ml-20m/ratings.csv", "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,0.5,1112484676\n"
    ),
    "movielens_movies": text_file("ml-100k/u.item", U_ITEM),
    "movielens_movies/1m": text_file(
        "ml-1m/movies.dat",
        "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Jumanji (1995)::Adventure|Children's|Fantasy\n",
    ),
    "movielens_movies/20m": text_file(
        "ml-20m/movies.csv",
        'movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n11,"American President, The (1995)",(no genres listed)\n',
    ),
    "recbole_inter": text_file(
        "ml-100k.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
    ),
    "recbole_item": text_file(
        "ml-100k.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\n2\tGoldenEye\t1995\tAction Adventure Thriller\n",
    ),
    "retailrocket": text_file("events.csv", ROCKET),
    "retailrocket_items": text_file("item_properties_part1.csv", ROCKET_ITEMS),
    "retailrocket_tree": text_file("category_tree.csv", "categoryid,parentid\n1016,213\n809,169\n231,\n"),
    "rees46": text_file("2019-Oct.csv", REES46),
    "otto": json_lines("train.jsonl", *OTTO),
    "open_bandit": text_file("random/men/men.csv", BANDIT),
    "open_bandit_items": text_file("random/men/item_context.csv", BANDIT_ITEMS),
    "avazu": text_file("train.gz", AVAZU),
    "criteo": text_file("train.txt", CRITEO),
    "criteo_uplift": text_file("criteo-uplift-v2.1.csv.gz", UPLIFT),
    "interactions": parquet("interactions.parquet", *GAMES),
    "interactions_items": parquet("items.parquet", *GAME_ITEMS),
    "algolia_insights": json_lines("insights.ndjson.gz", *ALGOLIA),
    "segment": json_lines("segment.jsonl", *SEGMENT),
    "ga4": json_lines("events_20240301.json", *GA4),
    "ga4/parquet": parquet("events_20240301.parquet", *GA4),
    "google_retail": json_lines("user_events.json", *RETAIL),
    "amazon_personalize": text_file("interactions.csv", PERSONALIZE),
    "amazon_personalize_items": text_file(
        "items.csv",
        "ITEM_ID,PRICE,CATEGORY_L1,PRODUCT_DESCRIPTION\na,1.5,Kitchen,A mug\nb,2,Kitchen|Bath,A towel\n",
    ),
}
"""{reader, or reader/variant: writes its file, returns the paths}."""
